import { assertEquals, assertNotEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import type { JsonValue } from "./json.ts";
import { indexTables } from "./parse_delta.ts";
import type { RuleBucket, RuleFilter } from "./rules.ts";
import { claimAt, type Claims } from "./rules_claim.ts";
import { bindJoins, type ResolvedRules, resolveRules } from "./rules_resolve.ts";

const tables = indexTables([
  {
    table: "todos",
    version: 1,
    columns: [{ name: "owner", type: "string" }, { name: "rank", type: "integer" }, {
      name: "extra",
      type: "json",
    }],
  },
  { table: "notes", version: 1, columns: [{ name: "owner", type: "string" }] },
]);

const eq = (column: string, value: JsonValue): RuleFilter => ({ column, op: "eq", value });
const bucket = (filters: RuleBucket["filters"], name = "b"): RuleBucket => ({
  name,
  tables: ["todos"],
  filters,
});
const resolve = (buckets: readonly RuleBucket[], claims: Claims = {}): ResolvedRules =>
  resolveRules(buckets, { claims, tables });
const canonical = (buckets: readonly RuleBucket[], claims: Claims = {}): string =>
  resolve(buckets, claims).canonical;

test("resolveRules() comes to one text for rules that come to the same filters", () => {
  const one = canonical([bucket([eq("owner", "a"), { column: "rank", op: "in", value: [2, 1] }])]);
  const same: [RuleBucket[], Claims?][] = [
    [[bucket([{ column: "rank", op: "eq", value: [1, 2, 1, null] }, eq("owner", "a")], "other")]],
    [[bucket([eq("owner", "jwt:sub"), eq("rank", "jwt:ranks")])], { sub: "a", ranks: [1, "x", 2] }],
    [[
      bucket([eq("owner", "a"), eq("rank", [2, 1])], "x"),
      bucket([eq("owner", "a"), eq("rank", [1, 2])], "y"),
      bucket([eq("owner", "jwt:missing")], "z"),
    ]],
  ];
  for (const [buckets, claims] of same) assertEquals(canonical(buckets, claims), one);
  const other: [RuleBucket[], Claims?][] = [
    [[bucket([eq("owner", "a"), eq("rank", [1])])]],
    [[bucket([eq("owner", "a")])]],
    [[bucket([eq("owner", "a"), { column: "rank", op: "neq", value: 1 }])]],
    [[{ name: "b", tables: ["notes"], filters: [eq("owner", "a")] }]],
    [[]],
  ];
  for (const [buckets, claims] of other) assertNotEquals(canonical(buckets, claims), one);
});

test("resolveRules() takes a bucket without filters for all that its table needs", () => {
  const all = canonical([bucket([])]);
  assertEquals(canonical([bucket([eq("owner", "a")]), bucket([], "all")]), all);
  assertNotEquals(canonical([]), all);
});

test("resolveRules() leaves out a bucket that can match nothing", () => {
  const cases: [RuleFilter, Claims][] = [
    [eq("owner", "jwt:team"), {}],
    [eq("owner", "jwt:team"), { team: null }],
    [eq("owner", "jwt:team"), { team: 5 }],
    [eq("owner", "jwt:team"), { team: [] }],
    [eq("owner", "jwt:team"), { team: [5, null, { a: "b" }] }],
    [eq("owner", "jwt:team"), { team: { name: "x" } }],
    [eq("owner", "jwt:team.name"), { team: ["x"] }],
    [{ column: "owner", op: "neq", value: "jwt:team" }, {}],
    [{ column: "owner", op: "neq", value: ["a"] }, {}],
    [{ column: "extra", op: "gt", value: 5 }, {}],
  ];
  for (const [filter, claims] of cases) {
    assertEquals(resolve([bucket([eq("rank", 1), filter])], claims).tables.size, 0);
  }
});

test("resolveRules() keeps other tables' buckets apart", () => {
  const both = [{ name: "b", tables: ["todos", "notes"], filters: [eq("owner", "jwt:sub")] }];
  const { tables: resolved } = resolve(both, { sub: "a" });
  assertEquals([...resolved.keys()], ["notes", "todos"]);
});

test("bindJoins() makes a join the same as a list of its values", () => {
  const join = { column: "owner", op: "in", table: "notes", select: "owner", where: [] } as const;
  const rules = resolve([bucket([eq("rank", 1), join])]);
  const bound = bindJoins(rules, ({ table, select }) => [`${table}.${select}`, "a"]);
  const plain = canonical([bucket([eq("owner", ["a", "notes.owner"]), eq("rank", 1)])]);
  assertEquals(bound.canonical, plain);
  assertEquals(bindJoins(rules, () => []).tables.size, 0);
});

test("claimAt() looks only at what a token itself says", () => {
  const claims = JSON.parse(
    '{"sub":"a","org":{"id":"o","deep":{"x":[1]}},"a.b":"dotted","a":{"b":"nested"},' +
      '"__proto__":{"admin":true},"名前":"値","list":["x"]}',
  ) as Claims;
  const cases: [path: string, value: JsonValue | undefined][] = [
    ["sub", "a"],
    ["org.id", "o"],
    ["org.deep.x", [1]],
    ["a.b", "dotted"],
    ["__proto__.admin", true],
    ["名前", "値"],
    ["constructor", undefined],
    ["constructor.name", undefined],
    ["org.constructor", undefined],
    ["org.__proto__", undefined],
    ["sub.length", undefined],
    ["list.0", undefined],
    ["list.length", undefined],
    ["org.none.x", undefined],
  ];
  for (const [path, value] of cases) assertEquals(claimAt(claims, path), value, path);
  assertEquals(claimAt({}, "__proto__"), undefined);
  assertEquals(claimAt({}, "__proto__.toString"), undefined);
});
