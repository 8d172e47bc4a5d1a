import type { SqlValue, TableSchema } from "@lakesync/core";
import { quote } from "../_local_table.ts";

/** A column of the grid. */
export interface GridColumn {
  readonly name: string;
  /** Its declared type; `learned` where only the gateway declares it. */
  readonly type: string;
}

/** So many characters of a text go into the grid. */
const CELL_CHARS = 200;

/** The columns that a table has here: the declared ones and those that were learned. */
export function gridColumns(schema: TableSchema, names: readonly string[]): GridColumn[] {
  const types = new Map(schema.columns.map(({ name, type }) => [name, type]));
  return names.filter((name) => name !== "id")
    .map((name) => ({ name, type: types.get(name) ?? "learned" }));
}

/** Counts the rows that have a text in one of their columns. */
export function countSql(
  table: string,
  columns: readonly GridColumn[],
  filter: string,
): [sql: string, params: SqlValue[]] {
  const where = filtered(columns, filter);
  return [`SELECT count(*) AS n FROM ${quote(table)}${where.sql}`, where.params];
}

/** Some of those rows, in the order of their ids, each value short enough for a cell. */
export function pageSql(
  table: string,
  columns: readonly GridColumn[],
  options: { filter: string; offset: number; limit: number },
): [sql: string, params: SqlValue[]] {
  const { filter, offset, limit } = options;
  const where = filtered(columns, filter);
  const name = quote(table);
  // The ids alone are skipped through, which is in their index; then the rows are read.
  return [
    `SELECT ${["id", ...columns.map(cellSql)].join(", ")} FROM ${name} WHERE id IN
      (SELECT id FROM ${name}${where.sql} ORDER BY id LIMIT ? OFFSET ?) ORDER BY id`,
    [...where.params, limit, offset],
  ];
}

function cellSql({ name, type }: GridColumn): string {
  const column = quote(name);
  if (type === "bytes") return `length(${column}) || ' bytes' AS ${column}`;
  if (type === "boolean") {
    return `CASE ${column} WHEN 0 THEN 'false' WHEN 1 THEN 'true' END AS ${column}`;
  }
  return type === "string" || type === "json"
    ? `substr(${column}, 1, ${CELL_CHARS}) AS ${column}`
    : column;
}

function filtered(
  columns: readonly GridColumn[],
  filter: string,
): { sql: string; params: SqlValue[] } {
  if (filter === "") return { sql: "", params: [] };
  const found = ["id", ...columns.filter(({ type }) => type !== "bytes").map((c) => quote(c.name))]
    .map((column) => `instr(lower(${column}), ?) > 0`);
  return { sql: ` WHERE ${found.join(" OR ")}`, params: found.map(() => filter.toLowerCase()) };
}
