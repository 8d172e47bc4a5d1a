import type { JsonValue, TableSchema } from "@lakesync/core";
import { entry, type TestLake } from "./subject.ts";

/** A table of things to do. */
export const TODOS: TableSchema = {
  table: "todos",
  version: 1,
  columns: [
    { name: "title", type: "string", nullable: true },
    { name: "done", type: "boolean", nullable: true },
  ],
};

/** Columns by name. */
export function set(values: { [column: string]: JsonValue }): Map<string, JsonValue> {
  return new Map(Object.entries(values));
}

/** Writes `todos` into a lake, in two flushes: a row that is done, and one that is deleted. */
export async function writeTodos(lake: TestLake): Promise<void> {
  lake.define(TODOS);
  const table = "todos";
  await lake.write(table, {
    entries: [
      entry(1, { table, op: "INSERT", hlc: "65536", id: "1", set: set({ title: "Milk" }) }),
      entry(2, { table, op: "INSERT", hlc: "131072", id: "2", set: set({ title: "Tea" }) }),
    ],
    to: { epoch: "e", seq: 2 },
  });
  await lake.write(table, {
    entries: [
      entry(3, {
        table,
        op: "UPDATE",
        hlc: "196608",
        id: "1",
        by: "b",
        set: set({ done: true }),
      }),
      entry(4, { table, op: "DELETE", hlc: "196609", id: "2" }),
    ],
    to: { epoch: "e", seq: 4 },
  });
}
