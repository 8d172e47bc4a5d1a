import { assert, assertEquals, assertFalse, assertStrictEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import fc from "fast-check";
import { type Delta, type DeltaContent, deltaId } from "./delta.ts";
import type { JsonValue } from "./json.ts";
import type { TableSchema } from "./schema.ts";
import { indexTables, isClientId, isRowId, parseDelta } from "./parse_delta.ts";

const todos: TableSchema = {
  table: "todos",
  version: 1,
  columns: [
    { name: "title", type: "string" },
    { name: "price", type: "number", nullable: true },
    { name: "count", type: "integer", nullable: true },
    { name: "done", type: "boolean", nullable: true },
    { name: "due", type: "timestamp", nullable: true },
    { name: "thumb", type: "bytes", nullable: true },
    { name: "tags", type: "json", nullable: true },
  ],
};
const odd: TableSchema = {
  table: "__proto__",
  version: 1,
  columns: [{ name: "__proto__", type: "json" }, {
    name: "constructor",
    type: "string",
    nullable: true,
  }],
};
const tables = indexTables([todos, odd]);

function stamped(content: DeltaContent): Delta {
  return { ...content, deltaId: deltaId(content) };
}

const insert: Delta = stamped({
  op: "INSERT",
  table: "todos",
  rowId: "1",
  clientId: "alice:phone",
  hlc: "113246208000065536",
  columns: [
    { column: "title", value: "Milk" },
    { column: "price", value: 1.5 },
    { column: "count", value: "9223372036854775807" },
    { column: "done", value: false },
    { column: "due", value: "2025-01-01T00:00:00.000000Z" },
    { column: "thumb", value: "AQI=" },
    { column: "tags", value: { a: [null, 1] } },
  ],
});
const update: Delta = stamped({
  ...insert,
  op: "UPDATE",
  columns: [{ column: "done", value: true }],
});
const remove: Delta = stamped({ ...insert, op: "DELETE", columns: [] });

/** The delta after a trip through JSON text, with parts of it replaced. */
function sent(delta: Delta, parts: { readonly [key: string]: unknown } = {}): unknown {
  return JSON.parse(JSON.stringify({ ...delta, ...parts }));
}

test("parseDelta() takes INSERT, UPDATE and DELETE as they were sent", () => {
  for (const delta of [insert, update, remove, { ...update, txId: "tx" }]) {
    assertEquals(parseDelta(sent(delta), tables), { delta });
  }
});

test("parseDelta() keeps only the known fields", () => {
  const value = sent(update, {
    note: 1,
    columns: [{ column: "done", value: true, note: 1 }],
  });
  const { delta } = parseDelta(value, tables);
  assertEquals(delta, update);
});

test("parseDelta() takes null in nullable columns, and an INSERT that leaves them out", () => {
  const columns = [{ column: "title", value: "" }, { column: "done", value: null }];
  assertEquals(parseDelta(sent(insert, { columns }), tables).delta?.columns, columns);
  assertEquals(
    parseDelta(sent(insert, { columns: columns.slice(0, 1) }), tables).delta?.columns,
    columns.slice(0, 1),
  );
});

test("parseDelta() takes -0 as 0 and leaves the deltaId true", () => {
  const columns = [{ column: "price", value: 0 }, { column: "count", value: 0 }];
  const zero = stamped({ ...update, columns });
  const text = JSON.stringify(zero).replaceAll('"value":0', '"value":-0');
  const { delta } = parseDelta(JSON.parse(text), tables);
  assert(delta !== undefined);
  for (const { value } of delta.columns) assertStrictEquals(value, 0);
  assertEquals(deltaId(delta), zero.deltaId);
});

test("parseDelta() takes tables, columns and rows named like inherited properties", () => {
  const delta = stamped({
    ...insert,
    table: "__proto__",
    rowId: "__proto__",
    clientId: "constructor",
    columns: [
      { column: "__proto__", value: JSON.parse('{"__proto__":{"constructor":1}}') },
      { column: "constructor", value: "toString" },
    ],
  });
  const parsed = parseDelta(JSON.parse(JSON.stringify(delta)), tables);
  assertEquals(parsed, { delta });
  assertEquals(deltaId(parsed.delta!), delta.deltaId);
});

const LONG = "ö".repeat(129);
const column = (name: unknown, value: unknown) => ({ columns: [{ column: name, value }] });
const FAULTS: readonly (readonly [title: string, value: unknown, fault: string])[] = [
  ["null", null, "A delta must be an object"],
  ["a list", [insert], "A delta must be an object"],
  ["a text", "INSERT", "A delta must be an object"],
  ["no op", sent(update, { op: undefined }), "op must be INSERT, UPDATE or DELETE"],
  ["an unknown op", sent(update, { op: "UPSERT" }), "op must be INSERT, UPDATE or DELETE"],
  ["an op in lower case", sent(update, { op: "update" }), "op must be INSERT, UPDATE or DELETE"],
  ["an op that is a list", sent(update, { op: ["UPDATE"] }), "op must be INSERT, UPDATE or DELETE"],
  ["no table", sent(update, { table: undefined }), "table must be a string"],
  ["a table that is no text", sent(update, { table: 1 }), "table must be a string"],
  ["a table that is no identifier", sent(update, { table: "a b" }), "table must be an identifier"],
  ["a table without schema", sent(update, { table: "notes" }), 'Table "notes" has no schema'],
  [
    "a table under another case",
    sent(update, { table: "Todos" }),
    'Table "Todos" has no schema',
  ],
  [
    "a table named like an inherited property",
    sent(update, { table: "constructor" }),
    'Table "constructor" has no schema',
  ],
  ...[undefined, null, 1, "", LONG, "a\uD800"].map((rowId) =>
    [
      `rowId ${JSON.stringify(rowId)?.slice(0, 9)}`,
      sent(update, { rowId }),
      "rowId must be a well-formed string of 1 to 256 bytes",
    ] as const
  ),
  ...[undefined, null, 1, "", "ö".repeat(513), "a\uDC00"].map((clientId) =>
    [
      `clientId ${JSON.stringify(clientId)?.slice(0, 9)}`,
      sent(update, { clientId }),
      "clientId must be a well-formed string of 1 to 1,024 bytes",
    ] as const
  ),
  ...[undefined, null, 1, "", "0", "01", "-1", "1.0", "18446744073709551616"].map((hlc) =>
    [
      `hlc ${JSON.stringify(hlc)}`,
      sent(update, { hlc }),
      "hlc must be a decimal string from 1 to 2^64 - 1",
    ] as const
  ),
  ...[undefined, null, 1].map((deltaId) =>
    [
      `deltaId ${JSON.stringify(deltaId)}`,
      sent(update, { deltaId }),
      "deltaId must be a string",
    ] as const
  ),
  ...[null, 1, "", LONG, "\uD800"].map((txId) =>
    [
      `txId ${JSON.stringify(txId).slice(0, 9)}`,
      sent(update, { txId }),
      "txId must be a well-formed string of 1 to 256 bytes",
    ] as const
  ),
  ["no columns", sent(update, { columns: undefined }), "columns must be a list"],
  ["columns null", sent(remove, { columns: null }), "columns must be a list"],
  ["columns by name", sent(update, { columns: { done: true } }), "columns must be a list"],
  ["a DELETE with columns", sent(update, { op: "DELETE" }), "A DELETE carries no columns"],
  [
    "a column that is no object",
    sent(update, { columns: ["done"] }),
    "Each of columns must be an object",
  ],
  [
    "a column that is a list",
    sent(update, { columns: [["done", true]] }),
    "Each of columns must be an object",
  ],
  ["a column without name", sent(update, column(undefined, 1)), "column must be a string"],
  ["a column whose name is no text", sent(update, column(1, 1)), "column must be a string"],
  [
    "a column that is no identifier",
    sent(update, column("a b", 1)),
    "column must be an identifier",
  ],
  ["an unknown column", sent(update, column("note", 1)), 'Column "note" is not in table "todos"'],
  ["the column id", sent(update, column("id", "1")), 'Column "id" is not in table "todos"'],
  [
    "a column under another case",
    sent(update, column("Done", true)),
    'Column "Done" is not in table "todos"',
  ],
  [
    "a column named like an inherited property",
    sent(update, column("__proto__", 1)),
    'Column "__proto__" is not in table "todos"',
  ],
  [
    "a column named twice",
    sent(update, { columns: [...update.columns, ...update.columns] }),
    'Column "done" is named twice',
  ],
  ["a column without value", sent(update, column("done", undefined)), 'Column "done" has no value'],
  ["null for NOT NULL", sent(update, column("title", null)), 'Column "title" must not be null'],
  [
    "an INSERT with null for NOT NULL",
    sent(insert, column("title", null)),
    'Column "title" must not be null',
  ],
  [
    "an INSERT without a NOT NULL column",
    sent(insert, column("done", true)),
    'An INSERT into "todos" needs column "title"',
  ],
  [
    "an INSERT without columns where one is NOT NULL",
    sent(insert, { columns: [] }),
    'An INSERT into "todos" needs column "title"',
  ],
  [
    "another type for string",
    sent(update, column("title", 1)),
    'Column "title" is not a well-formed string',
  ],
  [
    "a lone surrogate for string",
    sent(update, column("title", "\uD800")),
    'Column "title" is not a well-formed string',
  ],
  [
    "another type for number",
    sent(update, column("price", "1.5")),
    'Column "price" is not a finite number',
  ],
  [
    "a number beyond a double",
    JSON.parse(JSON.stringify(update).replace('"done","value":true', '"price","value":1e999')),
    'Column "price" is not a finite number',
  ],
  [
    "a safe integer as text",
    sent(update, column("count", "42")),
    'Column "count" is not an integer in its one form',
  ],
  [
    "an unsafe integer as number",
    sent(update, column("count", 2 ** 53)),
    'Column "count" is not an integer in its one form',
  ],
  [
    "an integer beyond int64",
    sent(update, column("count", "9223372036854775808")),
    'Column "count" is not an integer in its one form',
  ],
  [
    "0 for boolean",
    sent(update, column("done", 0)),
    'Column "done" is neither true nor false',
  ],
  [
    "a timestamp with three decimals",
    sent(update, column("due", "2025-01-01T00:00:00.000Z")),
    'Column "due" is not a time YYYY-MM-DDThh:mm:ss.ffffffZ',
  ],
  [
    "base64 without padding",
    sent(update, column("thumb", "AQI")),
    'Column "thumb" is not canonical padded base64',
  ],
  [
    "base64 with stray bits",
    sent(update, column("thumb", "AQJ=")),
    'Column "thumb" is not canonical padded base64',
  ],
  [
    "a lone surrogate in a json key",
    sent(update, column("tags", { "\uD800": 1 })),
    'Column "tags" is not plain JSON',
  ],
];

for (const [title, value, fault] of FAULTS) {
  test(`parseDelta() refuses ${title}`, () => {
    assertEquals(parseDelta(value, tables), { fault });
  });
}

test("parseDelta() refuses json that nests too deep to be walked", () => {
  const deep = `${"[".repeat(5_000)}${"]".repeat(5_000)}`;
  const text = JSON.stringify(update).replace('"done","value":true', `"tags","value":${deep}`);
  assertEquals(parseDelta(JSON.parse(text), tables), { fault: 'Column "tags" is not plain JSON' });
});

// What parseDelta() gives for anything is either a fault in words or a delta that it takes again.
function checkParsed(value: unknown): void {
  const parsed = parseDelta(value, tables);
  if (parsed.delta === undefined) {
    assertEquals(typeof parsed.fault, "string");
    assertEquals(Object.keys(parsed), ["fault"]);
  } else {
    assertEquals(Object.keys(parsed), ["delta"]);
    assertEquals(parseDelta(JSON.parse(JSON.stringify(parsed.delta)), tables), parsed);
    assertEquals(typeof deltaId(parsed.delta), "string");
  }
}

test("parseDelta() never throws, whatever the JSON", () => {
  fc.assert(fc.property(fc.jsonValue({ stringUnit: "binary" }), checkParsed), {
    seed: 42,
    numRuns: 1_000,
  });
});

test("parseDelta() never throws on a good delta with parts replaced, removed or added", () => {
  const junk = fc.oneof(
    fc.constant(undefined),
    fc.jsonValue(),
    fc.string({ unit: "binary" }),
    fc.constantFrom<JsonValue>("INSERT", "DELETE", "todos", "__proto__", "title", "1", [], {}, -0),
  );
  const key = fc.oneof(
    fc.constantFrom(...Object.keys(insert), "txId", "__proto__", "constructor", "toJSON"),
    fc.string(),
  );
  const columnKey = fc.constantFrom("column", "value", "__proto__");
  const replace = (object: object, key: string, value: unknown): object =>
    value === undefined
      ? Object.fromEntries(Object.entries(object).filter(([name]) => name !== key))
      : Object.fromEntries([...Object.entries(object), [key, value]]);
  const mutation = fc.oneof(
    fc.tuple(key, junk).map(([key, value]) => (delta: Delta) => replace(delta, key, value)),
    fc.tuple(fc.nat({ max: 6 }), columnKey, junk).map(([i, key, value]) => (delta: Delta) => ({
      ...delta,
      columns: delta.columns.map((column, j) => i === j ? replace(column, key, value) : column),
    })),
  );
  fc.assert(
    fc.property(fc.constantFrom(insert, update, remove), mutation, (delta, mutate) => {
      checkParsed(mutate(delta));
    }),
    { seed: 42, numRuns: 3_000 },
  );
});

test("parseDelta() names no row values in its faults", () => {
  const secret = "5ecr3t";
  const values: unknown[] = [secret, [secret], { [secret]: secret }, `${secret}\uD800`, {
    a: `${secret}\uD800`,
  }];
  for (const { name } of todos.columns) {
    for (const value of values) {
      for (const op of ["INSERT", "UPDATE", "DELETE"]) {
        const { fault } = parseDelta(sent(update, { op, ...column(name, value) }), tables);
        assertFalse(fault?.includes(secret), fault);
      }
    }
  }
  for (const part of ["op", "rowId", "clientId", "hlc", "txId", "columns"]) {
    const { fault } = parseDelta(sent(update, { [part]: `${secret}\uD800` }), tables);
    assert(fault !== undefined && !fault.includes(secret), fault);
  }
});

for (
  const [name, check, max] of [["isRowId", isRowId, 256], ["isClientId", isClientId, 1024]] as const
) {
  test(`${name}() takes well-formed strings of 1 to ${max} bytes of UTF-8`, () => {
    const good = [
      "a",
      "\0",
      " ",
      "__proto__",
      "a".repeat(max),
      "ö".repeat(max / 2),
      "\u{FFFF}".repeat(Math.floor(max / 3)),
      "\u{1F600}".repeat(max / 4),
    ];
    for (const text of good) assert(check(text));
    const bad = [
      "",
      "a".repeat(max + 1),
      "ö".repeat(max / 2 + 1),
      `${"ö".repeat(max / 2)}a`,
      "\u{FFFF}".repeat(Math.floor(max / 3) + 1),
      "\u{1F600}".repeat(max / 4 + 1),
      "\uD800",
      "a\uDC00",
      1,
      null,
      undefined,
      ["a"],
    ];
    for (const value of bad) assertFalse(check(value));
  });
}

test("isRowId() agrees with counting bytes", () => {
  const unit = fc.constantFrom("a", "ö", "\u{FFFF}", "\u{1F600}");
  fc.assert(
    fc.property(fc.string({ unit, minLength: 60, maxLength: 140, size: "max" }), (text) => {
      assertEquals(isRowId(text), new TextEncoder().encode(text).length <= 256);
    }),
    { seed: 42, numRuns: 500 },
  );
});

test("indexTables() finds tables and columns by name and knows what an INSERT must carry", () => {
  assertEquals([...tables.keys()], ["todos", "__proto__"]);
  assertEquals(tables.get("todos")?.schema, todos);
  assertEquals(tables.get("todos")?.required, ["title"]);
  assertEquals(tables.get("__proto__")?.required, ["__proto__"]);
  assertEquals(tables.get("__proto__")?.columns.get("constructor")?.type, "string");
  assertEquals(tables.get("todos")?.columns.get("__proto__"), undefined);
  const flags = indexTables([{
    table: "t",
    version: 1,
    columns: [{ name: "a", type: "json", nullable: false }],
  }]);
  assertEquals(flags.get("t")?.required, ["a"]);
});

test("parseDelta() finds a column named twice or left out among many as among few", () => {
  for (const count of [2, 16, 17, 300]) {
    const columns = Array.from({ length: count }, (_, i) => ({
      name: `c${i}`,
      type: "integer" as const,
      nullable: i < count - 1,
    }));
    const wide = indexTables([{ table: "wide", version: 1, columns }]);
    const changes = columns.map(({ name }, i) => ({ column: name, value: i }));
    const parse = (changes: Delta["columns"]) =>
      parseDelta({ ...insert, table: "wide", columns: changes }, wide);
    assertEquals(parse(changes).delta?.columns, changes);
    const last = `c${count - 1}`;
    assertEquals(parse([...changes, changes[0]!]).fault, 'Column "c0" is named twice');
    assertEquals(
      parse(changes.slice(0, -1)).fault,
      `An INSERT into "wide" needs column "${last}"`,
    );
  }
});
