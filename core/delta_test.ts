import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import fc from "fast-check";
import {
  type ColumnChange,
  type Delta,
  type DeltaContent,
  deltaId,
  deltaIdText,
  extractChange,
  type WireRow,
} from "./delta.ts";
import { canonicalJson, type JsonValue } from "./json.ts";
import type { TableSchema } from "./schema.ts";

// Texts written by hand from PROTOCOL, section 1; hashes by Python's hashlib.
const GOLDEN: readonly { delta: DeltaContent; text: string; id: string }[] = [
  {
    delta: { op: "DELETE", table: "t", rowId: "r", clientId: "c", columns: [], hlc: "1" },
    text: '{"clientId":"c","columns":[],"hlc":"1","op":"DELETE","rowId":"r","table":"t"}',
    id: "c2bb615051f09628e5f3689c636679326f2257e39231f74d5d98337abe96bf4a",
  },
  {
    delta: {
      op: "INSERT",
      table: "todos",
      rowId: "0b9d1c1e-6b0f-4a5e-9f0a-2f3f7f1f9a11",
      clientId: "alice:phone",
      columns: [{ column: "title", value: "Milk" }, { column: "done", value: false }],
      hlc: "113246208000065536",
    },
    text: '{"clientId":"alice:phone","columns":[{"column":"done","value":false},' +
      '{"column":"title","value":"Milk"}],"hlc":"113246208000065536","op":"INSERT",' +
      '"rowId":"0b9d1c1e-6b0f-4a5e-9f0a-2f3f7f1f9a11","table":"todos"}',
    id: "85d6c7451bdfc944ec4115efdbb1ddc5a9c23a646b2e93060d0e829a7cba2d41",
  },
  {
    delta: {
      op: "UPDATE",
      table: "T",
      rowId: "\u20ac\n\u{1F600}",
      clientId: 'm%C3%BCller:"x"',
      columns: [
        { column: "b", value: -0 },
        { column: "a", value: "9223372036854775807" },
        { column: "_", value: 1e21 },
        { column: "Z", value: null },
      ],
      hlc: "18446744073709551615",
    },
    text: '{"clientId":"m%C3%BCller:\\"x\\"","columns":[{"column":"Z","value":null},' +
      '{"column":"_","value":1e+21},{"column":"a","value":"9223372036854775807"},' +
      '{"column":"b","value":0}],"hlc":"18446744073709551615","op":"UPDATE",' +
      '"rowId":"\u20ac\\n\u{1F600}","table":"T"}',
    id: "28014827bec05a61fb104b454b23c123643da6c0211bc9c9c54b3d821d60b17b",
  },
  {
    delta: {
      op: "UPDATE",
      table: "__proto__",
      rowId: "constructor",
      clientId: "c",
      columns: [{
        column: "__proto__",
        value: JSON.parse(
          '{"9":2,"10":1,"\uFF5E":2,"\u{1F600}":1,"__proto__":{"a":null},"":[]}',
        ),
      }],
      hlc: "42",
    },
    text: '{"clientId":"c","columns":[{"column":"__proto__","value":{"":[],"10":1,"9":2,' +
      '"__proto__":{"a":null},"\u{1F600}":1,"\uFF5E":2}}],"hlc":"42","op":"UPDATE",' +
      '"rowId":"constructor","table":"__proto__"}',
    id: "294515319df73294f7beb8b2f0075ca12e1c0a42c7787be94d12f464b0a64b3c",
  },
];

const content: fc.Arbitrary<DeltaContent> = fc.record({
  op: fc.constantFrom("INSERT", "UPDATE", "DELETE"),
  table: fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/),
  rowId: fc.string({ unit: "binary" }),
  clientId: fc.string({ unit: "binary" }),
  columns: fc.uniqueArray(
    fc.record({
      column: fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,4}$/),
      value: fc.jsonValue({ stringUnit: "binary" }).map((value) => value as JsonValue),
    }),
    { selector: ({ column }) => column, maxLength: 6 },
  ),
  hlc: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(String),
});

test("deltaIdText() is the canonical text written by hand", () => {
  for (const { delta, text } of GOLDEN) assertEquals(deltaIdText(delta), text);
});

test("deltaId() is the SHA-256 that another implementation gives", () => {
  for (const { delta, id } of GOLDEN) assertEquals(deltaId(delta), id);
});

test("deltaIdText() is RFC 8785's text of the delta with its columns sorted by name", () => {
  fc.assert(
    fc.property(content, (delta) => {
      const columns = [...delta.columns].sort((a, b) => a.column < b.column ? -1 : 1)
        .map(({ column, value }) => ({ value, column }));
      assertEquals(deltaIdText(delta), canonicalJson({ ...delta, columns }));
    }),
    { seed: 42, numRuns: 300 },
  );
});

test("deltaId() does not depend on the order of columns, nor on deltaId and txId", () => {
  fc.assert(
    fc.property(content, (delta) => {
      const id = deltaId(delta);
      const columns = Object.freeze([...delta.columns].reverse());
      assertEquals(deltaId({ ...delta, columns }), id);
      const stamped: Delta = { ...delta, deltaId: "0".repeat(64), txId: "tx" };
      assertEquals(deltaId(stamped), id);
      assertMatch(id, /^[0-9a-f]{64}$/);
    }),
    { seed: 42 },
  );
});

test("deltaId() changes with each part of the content", () => {
  const { delta } = GOLDEN[1]!;
  const others: readonly DeltaContent[] = [
    { ...delta, op: "UPDATE" },
    { ...delta, table: "Todos" },
    { ...delta, rowId: "1" },
    { ...delta, clientId: "alice" },
    { ...delta, hlc: "113246208000065537" },
    { ...delta, columns: delta.columns.slice(1) },
    { ...delta, columns: [{ column: "title", value: null }, { column: "done", value: false }] },
    { ...delta, columns: [{ column: "title", value: "Milk" }, { column: "done", value: 0 }] },
    { ...delta, columns: [{ column: "name", value: "Milk" }, { column: "done", value: false }] },
  ];
  for (const other of others) assertNotEquals(deltaId(other), deltaId(delta));
});

const schema: TableSchema = {
  table: "things",
  version: 1,
  columns: [
    { name: "text", type: "string" },
    { name: "count", type: "integer", nullable: true },
    { name: "tags", type: "json", nullable: true },
    { name: "__proto__", type: "string", nullable: true },
  ],
};
const row = (...entries: (readonly [string, JsonValue])[]): WireRow => new Map(entries);

const CHANGES: readonly {
  title: string;
  before: WireRow | undefined;
  after: WireRow | undefined;
  expected: { op: "INSERT" | "UPDATE" | "DELETE"; columns: ColumnChange[] } | undefined;
}[] = [
  {
    title: "nothing to nothing is no change",
    before: undefined,
    after: undefined,
    expected: undefined,
  },
  {
    title: "a new row is an INSERT with all non-null columns in the schema's order",
    before: undefined,
    after: row(["tags", []], ["count", null], ["__proto__", "p"], ["text", ""]),
    expected: {
      op: "INSERT",
      columns: [
        { column: "text", value: "" },
        { column: "tags", value: [] },
        { column: "__proto__", value: "p" },
      ],
    },
  },
  {
    title: "a new row of nulls is an INSERT without columns",
    before: undefined,
    after: row(["count", null]),
    expected: { op: "INSERT", columns: [] },
  },
  {
    title: "false values are no nulls",
    before: undefined,
    after: row(["text", ""], ["count", 0], ["tags", false]),
    expected: {
      op: "INSERT",
      columns: [
        { column: "text", value: "" },
        { column: "count", value: 0 },
        { column: "tags", value: false },
      ],
    },
  },
  {
    title: "a row that goes is a DELETE without columns",
    before: row(["text", "a"]),
    after: undefined,
    expected: { op: "DELETE", columns: [] },
  },
  {
    title: "only what changed is in an UPDATE",
    before: row(["text", "a"], ["count", 1], ["tags", ["x"]]),
    after: row(["text", "a"], ["count", 2], ["tags", ["x"]]),
    expected: { op: "UPDATE", columns: [{ column: "count", value: 2 }] },
  },
  {
    title: "a value that goes becomes null, whether it is null or absent after",
    before: row(["text", "a"], ["count", 1], ["__proto__", "p"]),
    after: row(["text", "a"], ["count", null]),
    expected: {
      op: "UPDATE",
      columns: [{ column: "count", value: null }, { column: "__proto__", value: null }],
    },
  },
  {
    title: "null and absent are the same",
    before: row(["text", "a"], ["count", null]),
    after: row(["text", "a"], ["tags", null]),
    expected: undefined,
  },
  {
    title: "json that is deeply equal has not changed, whatever the order of its keys",
    before: row(["text", "a"], ["tags", { a: [1, { b: null }], c: "x" }]),
    after: row(["text", "a"], ["tags", { c: "x", a: [1, { b: null }] }]),
    expected: undefined,
  },
  {
    title: "json that differs deep down, in the order of a list or in a null key has changed",
    before: row(["tags", { a: [1, 2] }]),
    after: row(["tags", { a: [2, 1] }]),
    expected: { op: "UPDATE", columns: [{ column: "tags", value: { a: [2, 1] } }] },
  },
  {
    title: "a json key with null is not the same as no key",
    before: row(["tags", {}]),
    after: row(["tags", { a: null }]),
    expected: { op: "UPDATE", columns: [{ column: "tags", value: { a: null } }] },
  },
  {
    title: "a json text is not the value that it spells",
    before: row(["tags", [1]]),
    after: row(["tags", "[1]"]),
    expected: { op: "UPDATE", columns: [{ column: "tags", value: "[1]" }] },
  },
  {
    title: "0 and -0 are the same",
    before: row(["count", 0], ["tags", [0]]),
    after: row(["count", -0], ["tags", [-0]]),
    expected: undefined,
  },
  {
    title: "a number and its text differ",
    before: row(["count", 1]),
    after: row(["count", "1"]),
    expected: { op: "UPDATE", columns: [{ column: "count", value: "1" }] },
  },
  {
    title: "columns that the schema has not are passed over",
    before: row(["text", "a"], ["gone", 1]),
    after: row(["text", "a"], ["gone", 2], ["constructor", 3]),
    expected: undefined,
  },
];

for (const { title, before, after, expected } of CHANGES) {
  test(`extractChange(): ${title}`, () => {
    assertEquals(extractChange(schema, { before, after }), expected);
  });
}

test("extractChange() put onto the row before gives the row after", () => {
  const value = fc.constantFrom<JsonValue>(null, 0, 1, "a", [1], { a: 1, b: 2 }, { b: 2, a: 1 });
  const rows = fc.option(
    fc.dictionary(fc.constantFrom("text", "count", "tags", "__proto__"), value)
      .map((columns): WireRow => new Map(Object.entries(columns))),
    { nil: undefined },
  );
  const full = (row: WireRow): JsonValue =>
    schema.columns.map(({ name }) => [name, row.get(name) ?? null]);
  fc.assert(
    fc.property(rows, rows, (before, after) => {
      const change = extractChange(schema, { before, after });
      const made = new Map(before);
      for (const { column, value } of change?.columns ?? []) made.set(column, value);
      assertEquals(
        change?.op,
        after === undefined
          ? before && "DELETE"
          : before === undefined
          ? "INSERT"
          : canonicalJson(full(before)) === canonicalJson(full(after))
          ? undefined
          : "UPDATE",
      );
      if (after !== undefined) assertEquals(canonicalJson(full(made)), canonicalJson(full(after)));
    }),
    { seed: 42, numRuns: 500 },
  );
});
