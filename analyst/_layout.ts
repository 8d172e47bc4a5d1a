import type { ColumnType, LakeScan, TableSchema } from "@lakesync/core";

/** A column of a changelog that LakeSync itself writes (docs/lake.md). */
export interface OwnColumn {
  readonly name: string;
  /** Its DuckDB type. */
  readonly type: string;
}

/** The columns that every changelog has, in their order. */
export const OWN_COLUMNS: readonly OwnColumn[] = [
  { name: "_seq", type: "BIGINT" },
  { name: "_op", type: "VARCHAR" },
  { name: "id", type: "VARCHAR" },
  { name: "_hlc", type: "BIGINT" },
  { name: "_client_id", type: "VARCHAR" },
  { name: "_tx_id", type: "VARCHAR" },
  { name: "_commit_ts", type: "TIMESTAMPTZ" },
  { name: "_columns", type: "VARCHAR" },
];

const OWN_NAMES: ReadonlySet<string> = new Set(OWN_COLUMNS.map((column) => column.name));

/** A column of the app. */
export interface AppColumn {
  /** Its name in the app, and in the table of rows. */
  readonly name: string;
  /** Its name in the changelog. */
  readonly lakeName: string;
  /** Its type in the app. */
  readonly type: ColumnType;
}

/** DuckDB's type for a column of the app. */
export const DUCKDB_TYPES: Readonly<Record<ColumnType, string>> = {
  string: "VARCHAR",
  number: "DOUBLE",
  integer: "BIGINT",
  boolean: "BOOLEAN",
  timestamp: "TIMESTAMPTZ",
  bytes: "BLOB",
  json: "VARCHAR",
};

/** The app's type where the lake names only its own. */
const APP_TYPES: ReadonlyMap<string, ColumnType> = new Map([
  ["double", "number"],
  ["long", "integer"],
  ["boolean", "boolean"],
  ["timestamptz", "timestamp"],
  ["binary", "bytes"],
]);

/**
 * A column's name in the changelog: one that is, case aside, one of the changelog's own behind any
 * number of underscores gets one more in front (docs/lake.md).
 */
export function lakeColumnName(column: string): string {
  return /^_*(?:_(?:seq|op|hlc|client_id|tx_id|commit_ts|columns)|id)$/i.test(column)
    ? `_${column}`
    : column;
}

/** The app's columns: those of the lake, then those that only today's schema has. */
export function appColumns(
  scan: LakeScan | undefined,
  schema: TableSchema | undefined,
): readonly AppColumn[] {
  const columns = new Map<string, AppColumn>();
  const names = new Map<string, string>();
  for (const name of scan?.types.keys() ?? []) names.set(lakeColumnName(name), name);
  for (const column of scan?.columns ?? []) {
    if (OWN_NAMES.has(column.name)) continue;
    const name = names.get(column.name) ?? column.name;
    const type = scan?.types.get(name) ?? APP_TYPES.get(column.type) ?? "string";
    columns.set(column.name, { name, lakeName: column.name, type });
  }
  for (const { name, type } of schema?.columns ?? []) {
    const lakeName = lakeColumnName(name);
    if (!columns.has(lakeName)) columns.set(lakeName, { name, lakeName, type });
  }
  return [...columns.values()];
}
