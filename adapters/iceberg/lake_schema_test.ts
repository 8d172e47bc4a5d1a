import fc from "fast-check";
import { checkEvolution, type ColumnSchema, type TableSchema } from "@lakesync/core";
import { unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import {
  CHANGE_FIELDS,
  evolveSchemaPlan,
  lakeColumnName,
  newSchemaPlan,
  parseSchemaProperty,
  schemaProperty,
} from "./lake_schema.ts";

const todos: TableSchema = {
  table: "todos",
  version: 1,
  columns: [{ name: "title", type: "string" }, { name: "done", type: "boolean" }],
};

test("lakeColumnName() puts one more underscore before names of LakeSync's", () => {
  const names: [string, string][] = [
    ["title", "title"],
    ["seq", "seq"],
    ["_seq", "__seq"],
    ["__SEQ", "___SEQ"],
    ["_Hlc", "__Hlc"],
    ["___commit_ts", "____commit_ts"],
    ["_seq_", "_seq_"],
    ["__proto__", "__proto__"],
  ];
  for (const [name, inLake] of names) assertEquals(lakeColumnName(name), inLake);
});

test("lakeColumnName() never gives two columns of a table one name", () => {
  const names = fc.tuple(
    fc.constantFrom("", "_", "__", "___"),
    fc.constantFrom("seq", "SEQ", "_op", "hlc", "columns", "x", "_x"),
  ).map((parts) => parts.join(""));
  const tables = fc.uniqueArray(names, { selector: (name) => name.toLowerCase() });
  fc.assert(
    fc.property(tables, (columns) => {
      const all = [...CHANGE_FIELDS.map(({ name }) => name), ...columns.map(lakeColumnName)];
      assertEquals(new Set(all.map((name) => name.toLowerCase())).size, all.length);
    }),
    { seed: 42, numRuns: 1_000 },
  );
});

test("newSchemaPlan() gives ids from 9 on, and every type its own in Iceberg", () => {
  const types = ["string", "number", "integer", "boolean", "timestamp", "bytes", "json"] as const;
  const columns = types.map((type): ColumnSchema => ({ name: `a_${type}`, type }));
  const plan = newSchemaPlan({ table: "t", version: 1, columns });
  assertEquals(plan.lastColumnId, 15);
  assertEquals(plan.fields.slice(0, 8), CHANGE_FIELDS);
  assertEquals(plan.fields.slice(8).map(({ id, type, required }) => [id, type, required]), [
    [9, "string", false],
    [10, "double", false],
    [11, "long", false],
    [12, "boolean", false],
    [13, "timestamptz", false],
    [14, "binary", false],
    [15, "string", false],
  ]);
});

test("evolveSchemaPlan() gives new columns new ids and leaves all others as they are", () => {
  const before = newSchemaPlan(todos);
  const grown: TableSchema = {
    ...todos,
    version: 2,
    columns: [
      { name: "due", type: "timestamp", nullable: true },
      { name: "done", type: "boolean", nullable: true },
      { name: "title", type: "string" },
    ],
  };
  const after = unwrapOrThrow(evolveSchemaPlan({ ...before, lastColumnId: 30 }, grown));
  assertEquals(after.fields.slice(0, before.fields.length), before.fields);
  assertEquals(after.fields.at(-1), { id: 31, name: "due", required: false, type: "timestamptz" });
  assertEquals(after.lastColumnId, 31);
  assertEquals(after.columns.map(({ column, field }) => [column.name, field.id]), [
    ["due", 31],
    ["done", 10],
    ["title", 9],
  ]);
  assertEquals(after.schema, grown);
});

test("evolveSchemaPlan() lets a schema that is behind take nothing away", () => {
  const grown: TableSchema = {
    ...todos,
    version: 2,
    columns: [...todos.columns, { name: "due", type: "timestamp", nullable: true }],
  };
  const plan = newSchemaPlan(grown);
  assertEquals(unwrapOrThrow(evolveSchemaPlan(plan, todos)), plan);
});

test("evolveSchemaPlan() answers CONFLICT for another type and for LakeSync's columns changed", () => {
  const plan = newSchemaPlan(todos);
  const other: TableSchema = {
    ...todos,
    version: 2,
    columns: [{ name: "title", type: "integer" }, todos.columns[1]!],
  };
  assert(!checkEvolution([todos], [other]).ok);
  const changed = evolveSchemaPlan(plan, other);
  assertEquals(changed.ok ? "" : changed.error.code, "CONFLICT");
  const without = evolveSchemaPlan({ ...plan, fields: plan.fields.slice(1) }, todos);
  assertEquals(without.ok ? "" : without.error.code, "CONFLICT");
});

test("parseSchemaProperty() reads what schemaProperty() wrote, and answers CORRUPT else", () => {
  assertEquals(unwrapOrThrow(parseSchemaProperty(schemaProperty(todos))), todos);
  for (const text of ["", "{", "[]", '{"table":"a b"}']) {
    const parsed = parseSchemaProperty(text);
    assertEquals(parsed.ok ? "" : parsed.error.code, "CORRUPT");
  }
});
