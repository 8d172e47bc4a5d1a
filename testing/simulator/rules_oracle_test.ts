import type { Delta, JsonValue, RuleFilter } from "@lakesync/core";
import { assertEquals } from "@std/assert";
import { test } from "../test.ts";
import { addDelta, type Bags, visibleRow } from "./oracle.ts";
import { type OracleClaims, sees, viewText, writeFault } from "./rules_oracle.ts";

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
    deltaId: "",
    columns: Object.entries(columns).map(([column, value]) => ({ column, value })),
  };
}

function bagOf(deltas: readonly Delta[]) {
  const bags: Bags = new Map([["items", new Map([["r1", []]])]]);
  for (const delta of deltas) addDelta(bags, delta);
  return bags.get("items")!.get("r1")!;
}

/** Whether a row with these columns passes one filter. */
function passes(
  filter: RuleFilter,
  columns: { readonly [column: string]: JsonValue },
  claims: OracleClaims = {},
): boolean {
  const rules = { version: 1, buckets: [{ name: "b", tables: ["items"], filters: [filter] }] };
  const row = visibleRow(bagOf([item("INSERT", 1, columns)]))!;
  return sees({ rules, claims }, { table: "items", id: "r1", row });
}

test("what is null, absent or of another type matches nothing, whatever the op", () => {
  for (const op of ["eq", "neq", "gt", "gte", "lt", "lte", "in"] as const) {
    const level: RuleFilter = { column: "level", op, value: "jwt:level" };
    assertEquals(passes(level, {}, { level: 1 }), false, op);
    assertEquals(passes(level, { level: null }, { level: 1 }), false, op);
    assertEquals(passes(level, { level: 1 }), false, op);
    assertEquals(passes(level, { level: 1 }, { level: "1" }), false, op);
    assertEquals(passes(level, { level: 1 }, { level: null }), false, op);
  }
});

test("a list means in under eq and in, and nothing under any other op", () => {
  const matching = (["eq", "in", "neq", "gt", "gte", "lt", "lte"] as const).filter((op) =>
    passes({ column: "team", op, value: "jwt:org.teams" }, { team: "red" }, {
      org: { teams: ["blue", "red"] },
    })
  );
  assertEquals(matching, ["eq", "in"]);
  assertEquals(passes({ column: "id", op: "in", value: ["r2"] }, {}), false);
});

test("a row must be its writer's to change before and after, and be there", () => {
  const rules = {
    version: 1,
    buckets: [{
      name: "own",
      tables: ["items"],
      filters: [{ column: "team", op: "eq" as const, value: "jwt:team" }],
    }],
  };
  const fault = (held: readonly Delta[], ...deltas: readonly Delta[]) =>
    writeFault(deltas, { view: { rules, claims: { team: "red" } }, bag: () => bagOf(held) });
  const red = item("INSERT", 1, { n: 1, team: "red" });
  const blue = item("INSERT", 1, { n: 1, team: "blue" });
  assertEquals(fault([], red), undefined);
  assertEquals(fault([red], item("UPDATE", 2, { n: 2 })), undefined);
  assertEquals(fault([], blue), { index: 0, isHidden: false });
  assertEquals(fault([red], item("UPDATE", 2, { team: "blue" })), { index: 0, isHidden: false });
  assertEquals(fault([blue], item("UPDATE", 2, { team: "red" })), { index: 0, isHidden: true });
  assertEquals(fault([blue], item("DELETE", 2)), { index: 0, isHidden: true });
  assertEquals(fault([], item("UPDATE", 2, { n: 2 })), { index: 0, isHidden: true });
  assertEquals(
    fault([red], item("UPDATE", 2, { team: "blue" }), item("UPDATE", 3, { team: "red" })),
    undefined,
  );
});

test("a view has one text as long as its filters come to the same", () => {
  const rules = (version: number, value: JsonValue) => ({
    version,
    buckets: [{
      name: `b${version}`,
      tables: ["items"],
      filters: [{ column: "team", op: "eq" as const, value }],
    }],
  });
  const claims = { team: "red" };
  const text = viewText({ rules: rules(1, "jwt:team"), claims });
  assertEquals(viewText({ rules: rules(2, "red"), claims: { team: "blue" } }), text);
  assertEquals(viewText({ rules: rules(1, "jwt:team"), claims: { team: "blue" } }) === text, false);
  const all = { version: 1, buckets: [{ name: "all", tables: ["items"], filters: [] }] };
  const none = { version: 1, buckets: [] };
  assertEquals(viewText({ rules: all, claims }) === viewText({ rules: none, claims }), false);
});
