import { assert, assertEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import fc from "fast-check";
import { indexTables } from "./parse_delta.ts";
import { parseRules } from "./rules_parse.ts";

const tables = indexTables([
  {
    table: "todos",
    version: 1,
    columns: [
      { name: "owner", type: "string" },
      { name: "rank", type: "integer", nullable: true },
      { name: "project", type: "string", nullable: true },
    ],
  },
  { table: "notes", version: 1, columns: [{ name: "owner", type: "string" }] },
  {
    table: "members",
    version: 1,
    columns: [{ name: "user", type: "string" }, { name: "project", type: "string" }, {
      name: "level",
      type: "integer",
    }],
  },
  { table: "__proto__", version: 1, columns: [{ name: "constructor", type: "string" }] },
]);

const own = { column: "owner", op: "eq", value: "jwt:sub" };
const join = {
  column: "project",
  op: "in",
  table: "members",
  select: "project",
  where: [{ column: "user", op: "eq", value: "jwt:sub" }],
};
const bucket = (parts: object = {}) => ({ name: "b", tables: ["todos"], filters: [own], ...parts });
const rules = (parts: object = {}) => ({ version: 1, buckets: [bucket()], ...parts });
const filtered = (...filters: unknown[]) => rules({ buckets: [bucket({ filters })] });

test("parseRules() takes buckets, write rules, joins and every operator as they are", () => {
  const ops = ["eq", "neq", "in", "gt", "lt", "gte", "lte"];
  const filters = [
    ...ops.map((op) => ({ column: "rank", op, value: 5 })),
    { column: "rank", op: "in", value: [1, "9223372036854775807", null] },
    { column: "id", op: "neq", value: "x" },
    { column: "owner", op: "eq", value: "jwt:org.team" },
    { column: "rank", op: "eq", value: null },
    join,
  ];
  const value = rules({
    buckets: [bucket({ filters }), bucket({ name: "c", tables: [], filters: [] })],
    write: [bucket({ tables: ["todos", "notes"] })],
  });
  assertEquals(parseRules(value, { tables }), { ok: true, value: value as never });
});

test("parseRules() takes tables and columns with the names of an object's members", () => {
  const text = '{"version":0,"buckets":[{"name":"__proto__","tables":["__proto__"],' +
    '"filters":[{"column":"constructor","op":"eq","value":"jwt:__proto__"}]}]}';
  const parsed = parseRules(JSON.parse(text), { tables });
  assertEquals(parsed.ok && JSON.stringify(parsed.value), text);
});

const FAULTS: readonly [value: unknown, message: string][] = [
  [null, "rules is not an object"],
  [[], "rules is not an object"],
  [{ version: 1 }, "buckets is not a list"],
  [rules({ version: "1" }), "version is not a whole number from 0"],
  [rules({ version: -1 }), "version is not a whole number from 0"],
  [rules({ writes: [] }), 'rules has an unknown field "writes"'],
  [rules({ write: {} }), "write is not a list"],
  [rules({ write: null }), "write is not a list"],
  [
    JSON.parse('{"version":1,"buckets":[],"__proto__":1}'),
    'rules has an unknown field "__proto__"',
  ],
  [rules({ buckets: [7] }), "buckets[0] is not an object"],
  [
    rules({ buckets: [bucket({ name: "" })] }),
    "buckets[0].name is not a well-formed string of 1 to 128 characters",
  ],
  [rules({ buckets: [bucket(), bucket()] }), "buckets[1].name is there already"],
  [
    rules({ write: [bucket(), bucket({ tables: ["nope"] })] }),
    "write[1].tables[0] is not the name of a table: put its schema first",
  ],
  [
    rules({ buckets: [bucket({ tables: ["constructor"] })] }),
    "buckets[0].tables[0] is not the name of a table: put its schema first",
  ],
  [rules({ buckets: [bucket({ tables: "todos" })] }), "buckets[0].tables is not a list"],
  [rules({ buckets: [{ name: "b", tables: ["todos"] }] }), "buckets[0].filters is not a list"],
  [rules({ buckets: [bucket({ filter: [] })] }), 'buckets[0] has an unknown field "filter"'],
  [filtered(own, null), "buckets[0].filters[1] is not an object"],
  [
    filtered({ ...own, op: "like" }),
    "buckets[0].filters[0].op is not one of eq, neq, in, gt, lt, gte, lte",
  ],
  [
    filtered({ ...own, column: "nope" }),
    'buckets[0].filters[0].column is not a column of table "todos"',
  ],
  [
    filtered({ ...own, column: "toString" }),
    'buckets[0].filters[0].column is not a column of table "todos"',
  ],
  [
    rules({
      buckets: [
        bucket({ tables: ["todos", "notes"], filters: [{ column: "rank", op: "eq", value: 1 }] }),
      ],
    }),
    'buckets[0].filters[0].column is not a column of table "notes"',
  ],
  [
    filtered({ column: "rank", op: "gt", value: "5" }),
    'buckets[0].filters[0].value is not an integer in its one form, which column "rank" of table "todos" needs',
  ],
  [
    filtered({ column: "rank", op: "in", value: [1, 1.5] }),
    'buckets[0].filters[0].value[1] is not an integer in its one form, which column "rank" of table "todos" needs',
  ],
  [
    filtered({ column: "id", op: "eq", value: 5 }),
    'buckets[0].filters[0].value is not a well-formed string, which column "id" of table "todos" needs',
  ],
  [
    filtered({ column: "owner", op: "eq" }),
    "buckets[0].filters[0].value is missing or not plain JSON",
  ],
  [
    filtered({ ...own, value: "jwt:" }),
    'buckets[0].filters[0].value names no claim: write "jwt:" and its name, with dots between levels',
  ],
  [
    filtered({ ...own, value: "jwt:a..b" }),
    'buckets[0].filters[0].value names no claim: write "jwt:" and its name, with dots between levels',
  ],
  [
    filtered({ ...own, op: "in", value: ["a", "jwt:sub"] }),
    "buckets[0].filters[0].value[1] is a claim: it cannot stand in a list",
  ],
  [
    filtered({ ...join, op: "eq" }),
    'buckets[0].filters[0].op is not "in", as it must be with a table',
  ],
  [
    filtered({ ...join, table: "nope" }),
    "buckets[0].filters[0].table is not the name of a table: put its schema first",
  ],
  [
    filtered({ ...join, select: "nope" }),
    'buckets[0].filters[0].select is not a column of table "members"',
  ],
  [
    filtered({ ...join, select: "level" }),
    'buckets[0].filters[0].select is integer, but column "project" of table "todos" is string',
  ],
  [
    filtered({ ...join, where: [{ column: "owner", op: "eq", value: "x" }] }),
    'buckets[0].filters[0].where[0].column is not a column of table "members"',
  ],
  [
    filtered({ ...join, where: [join] }),
    'buckets[0].filters[0].where[0] has an unknown field "table"',
  ],
  [
    filtered({ ...own, op: "in", value: Array(1_001).fill("x") }),
    "buckets[0].filters[0].value has 1001 items: at most 1000 go",
  ],
  [filtered(...Array(33).fill(own)), "buckets[0].filters has 33 items: at most 32 go"],
  [
    rules({ buckets: Array.from({ length: 257 }, (_, i) => bucket({ name: `${i}` })) }),
    "buckets has 257 items: at most 256 go",
  ],
];
for (const [value, message] of FAULTS) {
  test(`parseRules() refuses: ${message}`, () => {
    const parsed = parseRules(value, { tables });
    assert(!parsed.ok);
    assertEquals([parsed.error.code, parsed.error.message], ["VALIDATION_ERROR", message]);
    const path = parsed.error.details?.path;
    assert(typeof path === "string" && message.startsWith(path));
  });
}

test("parseRules() answers any value with rules or a fault and never throws", () => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withSparseArray: true }), (value) => {
      const parsed = parseRules(value, { tables });
      return !parsed.ok && parsed.error.code === "VALIDATION_ERROR";
    }),
    { seed: 42, numRuns: 2_000 },
  );
});
