import type { Delta, Hlc, JsonValue, PageItem } from "@lakesync/core";
import { assertEquals } from "@std/assert";
import { test } from "../test.ts";
import { Line } from "./line.ts";
import { itemFault, rowFault } from "./page_check.ts";

const RED = {
  rules: {
    version: 1,
    buckets: [{
      name: "red",
      tables: ["items"],
      filters: [{ column: "team", op: "eq" as const, value: "red" }],
    }],
  },
  claims: {},
};

function item(
  op: Delta["op"],
  hlc: number,
  columns: { readonly [column: string]: JsonValue } = {},
): Delta {
  return {
    op,
    table: "items",
    rowId: "r1",
    clientId: "a",
    hlc: String(hlc),
    deltaId: `d${hlc}`,
    columns: Object.entries(columns).map(([column, value]) => ({ column, value })),
  };
}

/** A row that is blue, becomes red, changes, becomes blue and dies. */
const LOG = [
  item("INSERT", 1, { n: 1, team: "blue" }),
  item("UPDATE", 2, { team: "red" }),
  item("UPDATE", 3, { n: 3 }),
  item("UPDATE", 4, { team: "blue" }),
  item("DELETE", 5),
];
const LINE = new Line();
for (const delta of LOG) LINE.append([delta]);

const place = { table: "items", rowId: "r1" };
const enter = {
  op: "ENTER" as const,
  ...place,
  life: ["1" as Hlc, "a"] as const,
  columns: { n: [1, "1" as Hlc, "a"] as const, team: ["red", "2" as Hlc, "a"] as const },
};

/** Whether an item may come in a page over that stretch. */
function mayCome(item: PageItem, from: number, to: number): boolean {
  return itemFault(item, { line: LINE, from, to, view: RED, clientId: "b" }) === undefined;
}

test("only what is visible before and after comes as a delta, and only with what has won", () => {
  assertEquals(LOG.map((delta) => mayCome(delta, 0, 5)), [false, false, true, false, false]);
  assertEquals(mayCome(LOG[2]!, 3, 5), false, "not on the way");
  const { columns: _, ...rest } = LOG[2]!;
  assertEquals(mayCome({ ...rest, columns: [{ column: "team", value: "red" }] }, 0, 5), false);
  assertEquals(mayCome({ op: "OWN", deltaId: "d3" } as PageItem, 0, 5), false, "somebody else's");
});

test("a row enters as it was just after its transaction, and is removed where it goes out of sight", () => {
  assertEquals(mayCome(enter, 0, 5), true);
  assertEquals(mayCome(enter, 2, 5), false);
  const present = { ...enter.columns, n: [3, "3" as Hlc, "a"] as const };
  assertEquals(mayCome({ ...enter, columns: present }, 0, 5), false);
  assertEquals(mayCome({ op: "REMOVE", ...place }, 0, 5), true);
  assertEquals(mayCome({ op: "REMOVE", ...place }, 0, 3), false);
  assertEquals(mayCome({ op: "DELETE", ...place }, 0, 5), false, "it was out of sight");
});

test("a checkpoint has the rows of its seq that its reader may see", () => {
  const faults = [1, 2, 3, 4, 5].map((seq) => rowFault(enter, { line: LINE, seq, view: RED }));
  assertEquals(faults.map((fault) => fault === undefined), [false, true, false, false, false]);
});
