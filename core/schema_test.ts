import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { test } from "@lakesync/testing";
import fc from "fast-check";
import {
  checkEvolution,
  type ColumnSchema,
  type ColumnType,
  isIdentifier,
  parseTableSchema,
  parseTableSchemas,
  type TableSchema,
} from "./schema.ts";

const TYPES: readonly ColumnType[] = [
  "string",
  "number",
  "integer",
  "boolean",
  "timestamp",
  "bytes",
  "json",
];
const title: ColumnSchema = { name: "title", type: "string" };
const todos: TableSchema = { table: "todos", version: 1, columns: [title] };

test("isIdentifier() takes a letter or _, then up to 62 letters, digits or _", () => {
  const good = ["a", "_", "Z9", "due_at", "__proto__", "constructor", "id", "a".repeat(63)];
  for (const name of good) assert(isIdentifier(name), name);
  const bad = ["", "1a", "a-b", "a b", "a.b", 'a"', "ä", "a\n", "\na", "a\0", "ａ", "a".repeat(64)];
  for (const name of bad) assertFalse(isIdentifier(name), name);
});

test("parseTableSchema() takes every type and keeps only the known fields", () => {
  const columns = TYPES.map((type, i) => ({ name: `c${i}`, type, nullable: i % 2 === 0, note: 1 }));
  const parsed = parseTableSchema({ table: "t", version: 3, columns, note: 1 }, "body");
  assertEquals(parsed, {
    ok: true,
    value: {
      table: "t",
      version: 3,
      columns: TYPES.map((type, i) => ({
        name: `c${i}`,
        type,
        ...(i % 2 === 0 && { nullable: true }),
      })),
    },
  });
});

test("parseTableSchema() gives back what it gave", () => {
  const parsed = parseTableSchema(
    { table: "__proto__", version: 1, columns: [{ name: "__proto__", type: "json" }] },
    "body",
  );
  assert(parsed.ok);
  assertEquals(parseTableSchema(parsed.value, "body"), parsed);
  assertEquals(parsed.value.columns[0]?.name, "__proto__");
});

const FAULTS: readonly (readonly [title: string, value: unknown, path: string])[] = [
  ["no object", undefined, "body"],
  ["null", null, "body"],
  ["a list", [], "body"],
  ["no table", { ...todos, table: undefined }, "body.table"],
  ["a table that is no text", { ...todos, table: 1 }, "body.table"],
  ["a table that is no identifier", { ...todos, table: "to-dos" }, "body.table"],
  ["a table named id", { ...todos, table: "Id" }, "body.table"],
  ["no version", { ...todos, version: undefined }, "body.version"],
  ["version 0", { ...todos, version: 0 }, "body.version"],
  ["a version that is no whole number", { ...todos, version: 1.5 }, "body.version"],
  ["a version beyond 2^53", { ...todos, version: 2 ** 53 }, "body.version"],
  ["a version that is a text", { ...todos, version: "1" }, "body.version"],
  ["no columns", { ...todos, columns: undefined }, "body.columns"],
  ["columns by name", { ...todos, columns: { title: "string" } }, "body.columns"],
  ["a column that is no object", { ...todos, columns: [title, "done"] }, "body.columns[1]"],
  ["a hole among the columns", { ...todos, columns: new Array(1) }, "body.columns[0]"],
  ["a column without name", { ...todos, columns: [{ type: "json" }] }, "body.columns[0].name"],
  [
    "a column whose name is no identifier",
    { ...todos, columns: [title, { name: "1", type: "json" }] },
    "body.columns[1].name",
  ],
  ["a column id", { ...todos, columns: [{ name: "id", type: "json" }] }, "body.columns[0].name"],
  ["a column ID", { ...todos, columns: [{ name: "ID", type: "json" }] }, "body.columns[0].name"],
  ["a column twice", { ...todos, columns: [title, title] }, "body.columns[1].name"],
  [
    "a column twice but for its case",
    { ...todos, columns: [title, { name: "TITLE", type: "json" }] },
    "body.columns[1].name",
  ],
  ["no type", { ...todos, columns: [{ name: "a" }] }, "body.columns[0].type"],
  ["an unknown type", { ...todos, columns: [{ name: "a", type: "text" }] }, "body.columns[0].type"],
  [
    "a reserved type",
    { ...todos, columns: [{ name: "a", type: "counter" }] },
    "body.columns[0].type",
  ],
  [
    "the name of an inherited property as type",
    { ...todos, columns: [{ name: "a", type: "toString" }] },
    "body.columns[0].type",
  ],
  [
    "nullable that is neither true nor false",
    { ...todos, columns: [{ name: "a", type: "json", nullable: 1 }] },
    "body.columns[0].nullable",
  ],
  [
    "nullable null",
    { ...todos, columns: [{ name: "a", type: "json", nullable: null }] },
    "body.columns[0].nullable",
  ],
];

for (const [title, value, path] of FAULTS) {
  test(`parseTableSchema() refuses ${title} and names ${path}`, () => {
    const parsed = parseTableSchema(value, "body");
    assert(!parsed.ok);
    assertEquals(parsed.error.code, "VALIDATION_ERROR");
    assertEquals(parsed.error.details, { path });
    assert(parsed.error.message.startsWith(`${path} `), parsed.error.message);
  });
}

test("parseTableSchemas() takes a set, also an empty one", () => {
  assertEquals(parseTableSchemas([], "tables"), { ok: true, value: [] });
  const notes = { ...todos, table: "notes" };
  assertEquals(parseTableSchemas([todos, notes], "tables"), { ok: true, value: [todos, notes] });
});

test("parseTableSchemas() names the path of a fault", () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [undefined, "tables"],
    [{ todos }, "tables"],
    [[todos, null], "tables[1]"],
    [[todos, { ...todos, table: "b", columns: [{}] }], "tables[1].columns[0].name"],
    [[todos, todos], "tables[1].table"],
    [[todos, { ...todos, table: "ToDos" }], "tables[1].table"],
  ];
  for (const [value, path] of cases) {
    const parsed = parseTableSchemas(value, "tables");
    assert(!parsed.ok);
    assertEquals(parsed.error.code, "VALIDATION_ERROR");
    assertEquals(parsed.error.details, { path });
  }
});

test("parseTableSchemas() never throws and gives only what it takes back", () => {
  const part = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.record({
      name: fc.constantFrom("a", "A", "id", "__proto__", ""),
      type: fc.constantFrom("json", "x"),
    }, { requiredKeys: [] }),
  );
  const set = fc.array(
    fc.oneof(
      fc.jsonValue(),
      fc.record({
        table: fc.constantFrom<unknown>("t", "T", "u", "id", 1),
        version: fc.constantFrom<unknown>(1, 2, 0, "1"),
        columns: fc.oneof(fc.array(part, { maxLength: 3 }), fc.jsonValue({ maxDepth: 1 })),
      }, { requiredKeys: [] }),
    ),
    { maxLength: 3 },
  );
  fc.assert(
    fc.property(set, (value) => {
      const parsed = parseTableSchemas(value, "tables");
      if (parsed.ok) assertEquals(parseTableSchemas(parsed.value, "tables"), parsed);
      else assertEquals(parsed.error.code, "VALIDATION_ERROR");
    }),
    { seed: 42, numRuns: 1_000 },
  );
});

const done: ColumnSchema = { name: "done", type: "boolean", nullable: true };
const base: TableSchema = { table: "todos", version: 2, columns: [title, done] };
const EVOLUTIONS: readonly {
  title: string;
  to: readonly TableSchema[];
  refused?: string;
}[] = [
  { title: "the same set", to: [base] },
  {
    title: "nullable: false in place of nothing",
    to: [{ ...base, columns: [{ ...title, nullable: false }, done] }],
  },
  { title: "a greater version alone", to: [{ ...base, version: 9 }] },
  { title: "a new table", to: [{ ...todos, table: "notes" }, base] },
  {
    title: "a new nullable column",
    to: [{
      ...base,
      version: 3,
      columns: [...base.columns, { name: "due", type: "timestamp", nullable: true }],
    }],
  },
  {
    title: "NOT NULL to nullable",
    to: [{ ...base, version: 3, columns: [{ ...title, nullable: true }, done] }],
  },
  {
    title: "a new nullable column under the same version",
    to: [{ ...base, columns: [...base.columns, { name: "due", type: "json", nullable: true }] }],
  },
  { title: "another order of columns", to: [{ ...base, columns: [done, title] }] },
  { title: "no tables", to: [], refused: 'Table "todos" is left out' },
  { title: "a table under another case", to: [{ ...base, table: "Todos" }], refused: "left out" },
  {
    title: "a column left out",
    to: [{ ...base, version: 3, columns: [title] }],
    refused: 'column "done" is left out',
  },
  {
    title: "a column under another case",
    to: [{ ...base, version: 3, columns: [title, { ...done, name: "Done" }] }],
    refused: 'column "done" is left out',
  },
  {
    title: "a new NOT NULL column",
    to: [{ ...base, version: 3, columns: [...base.columns, { name: "due", type: "timestamp" }] }],
    refused: 'the new column "due" must be nullable',
  },
  {
    title: "nullable to NOT NULL",
    to: [{ ...base, version: 3, columns: [title, { name: "done", type: "boolean" }] }],
    refused: 'column "done" stays nullable',
  },
  { title: "a lower version", to: [{ ...base, version: 1 }], refused: "version 1 is below 2" },
];

for (const { title, to, refused } of EVOLUTIONS) {
  test(`checkEvolution() ${refused === undefined ? "allows" : "refuses"} ${title}`, () => {
    const checked = checkEvolution([base], to);
    assertEquals(checked.ok, refused === undefined);
    if (checked.ok) return;
    assertEquals(checked.error.code, "CONFLICT");
    assertStringIncludes(checked.error.message, refused!);
  });
}

test("checkEvolution() refuses every change of type", () => {
  const table = (type: ColumnType, version: number): TableSchema[] => [
    { table: "t", version, columns: [{ name: "c", type, nullable: true }] },
  ];
  for (const from of TYPES) {
    for (const to of TYPES) {
      assertEquals(checkEvolution(table(from, 1), table(to, 2)).ok, from === to, `${from} ${to}`);
    }
  }
});

test("checkEvolution() allows anything on top of no tables", () => {
  assert(checkEvolution([], [base, { ...todos, table: "__proto__" }]).ok);
});

test("checkEvolution() knows tables and columns named like inherited properties", () => {
  const odd: TableSchema = {
    table: "__proto__",
    version: 1,
    columns: [{ name: "constructor", type: "json" }],
  };
  assert(checkEvolution([odd], [odd]).ok);
  assertFalse(checkEvolution([odd], []).ok);
  assertFalse(checkEvolution([odd], [{ ...odd, version: 2, columns: [] }]).ok);
});
