import type { Hlc, LakeScan } from "@lakesync/core";
import { compareHlc } from "@lakesync/core";
import type { OpenFiles } from "./_duckdb.ts";
import { type AppColumn, DUCKDB_TYPES, OWN_COLUMNS, type OwnColumn } from "./_layout.ts";
import { name } from "./_sql.ts";

/** What a changelog is read from. */
export interface ChangesSource {
  /** Its app's columns. */
  readonly columns: readonly AppColumn[];
  /** Its lake table with the files that are read, where there is one. */
  readonly scan: LakeScan | undefined;
  /** The table that holds its pending deltas, where there is one. */
  readonly pending: string | undefined;
  /** Of the files only changes above this seq; undefined for all. */
  readonly after: number | undefined;
  /** Only changes up to this stamp. */
  readonly asOf: Hlc | undefined;
  /** Its files, open. */
  readonly files: OpenFiles;
}

const MAX_LONG = "9223372036854775807";

/** The names and DuckDB types of a changelog's columns. */
export function changesColumns(columns: readonly AppColumn[]): readonly OwnColumn[] {
  return [
    ...OWN_COLUMNS,
    ...columns.map(({ lakeName, type }) => ({ name: lakeName, type: DUCKDB_TYPES[type] })),
  ];
}

/** The query of a changelog: its files and its pending deltas, each delta once. */
export function changesSql(source: ChangesSource): string {
  const columns = changesColumns(source.columns);
  const { scan, pending, after, asOf } = source;
  const parts: string[] = [];
  if (scan !== undefined && scan.files.length > 0) {
    const files = source.files.sql(columns, { scan });
    parts.push(after === undefined ? files : `${files} WHERE "_seq" > ${after}`);
  }
  if (pending !== undefined) {
    parts.push(`SELECT ${columns.map((column) => name(column.name))} FROM ${name(pending)}`);
  }
  if (parts.length === 0) {
    const nothing = columns.map((column) => `NULL::${column.type} AS ${name(column.name)}`);
    return `SELECT ${nothing} WHERE false`;
  }
  const all = parts.join(" UNION ALL ");
  if (asOf === undefined) return all;
  // A stamp beyond what a long holds is beyond every change.
  const bound = compareHlc(asOf, MAX_LONG) > 0 ? MAX_LONG : asOf;
  return `SELECT * FROM (${all}) WHERE "_hlc" <= ${bound}`;
}
