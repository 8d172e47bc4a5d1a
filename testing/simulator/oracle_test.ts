import type { Delta, JsonValue } from "@lakesync/core";
import { assertEquals } from "@std/assert";
import { test } from "../test.ts";
import { addDelta, type Bags, visibleRows } from "./oracle.ts";

function delta(
  op: Delta["op"],
  hlc: number,
  columns: { readonly [column: string]: JsonValue } = {},
  clientId = "a",
): Delta {
  return {
    op,
    table: "t",
    rowId: "r",
    clientId,
    hlc: String(hlc),
    deltaId: "",
    columns: Object.entries(columns).map(([column, value]) => ({ column, value })),
  };
}

/** What a row shows after these deltas, in whichever order they come. */
function shown(...deltas: readonly Delta[]): unknown {
  const texts = [deltas, [...deltas].reverse()].map((list) => {
    const bags: Bags = new Map();
    for (const one of list) addDelta(bags, one);
    const row = visibleRows(bags).get("t")?.get("r");
    return JSON.stringify(row && Object.fromEntries([...row.values].sort()));
  });
  assertEquals(texts[0], texts[1]);
  return texts[0] && JSON.parse(texts[0]);
}

test("the greater stamp wins each column, at equal ones the greater client", () => {
  assertEquals(
    shown(delta("INSERT", 1, { x: 1, y: 1 }), delta("UPDATE", 2, { x: 2 })),
    { x: 2, y: 1 },
  );
  assertEquals(
    shown(
      delta("INSERT", 9, { x: 1 }),
      delta("UPDATE", 10, { x: 2 }, "a"),
      delta("UPDATE", 10, { x: 3 }, "b"),
    ),
    { x: 3 },
  );
});

test("an UPDATE makes no row, and counts where the row's life comes before it", () => {
  assertEquals(shown(delta("UPDATE", 2, { x: 2 })), undefined);
  assertEquals(shown(delta("UPDATE", 2, { x: 2 }), delta("INSERT", 1, { y: 1 })), { x: 2, y: 1 });
});

test("a row that is made again starts clean", () => {
  const old = [delta("INSERT", 1, { x: 1, y: 1 }), delta("UPDATE", 2, { x: 2 })];
  assertEquals(shown(...old, delta("DELETE", 3)), undefined);
  assertEquals(shown(...old, delta("DELETE", 3), delta("INSERT", 4, { y: 4 })), { y: 4 });
});

test("at equal stamps dead wins over alive", () => {
  assertEquals(shown(delta("INSERT", 1, { x: 1 }), delta("DELETE", 1)), undefined);
});
