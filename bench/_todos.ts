import { boolean, type Column, defineTable, integer, string, type Table } from "@lakesync/core";

/** The table of all benchmarks. Alone here, so that a child has no more in its heap than it needs. */
export const todos: Table<"todos", {
  readonly title: Column<string, string>;
  readonly done: Column<boolean, boolean>;
  readonly n: Column<number, number | bigint>;
}> = defineTable("todos", { title: string(), done: boolean(), n: integer() });
