import type { ColumnSchema, TableSchema } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { unionSchemas } from "./_union_schema.ts";

function todos(version: number, ...more: readonly ColumnSchema[]): TableSchema {
  return { table: "todos", version, columns: [{ name: "title", type: "string" }, ...more] };
}

const note: ColumnSchema = { name: "note", type: "string", nullable: true };
const due: ColumnSchema = { name: "due", type: "timestamp", nullable: true };

test("the union of versions has all columns and tables, whichever came first", () => {
  const other: TableSchema = { table: "lists", version: 1, columns: [] };
  const one = [todos(2, note)];
  const two = [todos(3, due), other];
  assertEquals(unionSchemas(one, two), { ok: true, value: [todos(3, note, due), other] });
  assertEquals(unionSchemas(two, one), { ok: true, value: [todos(3, due, note), other] });
  assertEquals(unionSchemas([], one), { ok: true, value: one });
  assertEquals(unionSchemas(one, []), { ok: true, value: one });
});

test("a column that one version lets be null may be null in the union", () => {
  const loose: ColumnSchema = { name: "n", type: "integer", nullable: true };
  const strict: ColumnSchema = { name: "n", type: "integer" };
  for (const [a, b] of [[loose, strict], [strict, loose]] as const) {
    assertEquals(unionSchemas([todos(1, a)], [todos(1, b)]), {
      ok: true,
      value: [todos(1, loose)],
    });
  }
});

test("versions of which none could be the later one are a conflict that names the column", () => {
  const cases: [ColumnSchema[], ColumnSchema[]][] = [
    [[note], [{ ...note, type: "integer" }]],
    [[{ name: "must", type: "string" }], []],
    [[], [{ name: "must", type: "string" }]],
  ];
  for (const [a, b] of cases) {
    const union = unionSchemas([todos(1, ...a)], [todos(2, ...b)]);
    assertEquals(!union.ok && union.error.code, "CONFLICT");
    assertEquals(!union.ok && /"(note|must)"/.test(union.error.message), true);
  }
});
