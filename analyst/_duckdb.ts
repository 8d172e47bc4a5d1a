import type { LakeFile, LakeScan } from "@lakesync/core";
import type { OwnColumn } from "./_layout.ts";
import type { QueryColumn, QueryParam, QueryRow } from "./values.ts";

/** A query's parameters: see `QueryOptions`. */
export type Params = readonly QueryParam[] | { readonly [name: string]: QueryParam };

/**
 * A value that a TEMP table is filled with: BIGINT and, in microseconds since 1970, TIMESTAMPTZ are
 * `bigint`, DOUBLE is `number`, BLOB `Uint8Array`.
 */
export type Cell = null | boolean | number | bigint | string | Uint8Array;

/** A node of a parsed SELECT, in the form of DuckDB's `json_serialize_sql`. */
export type Node = { readonly [key: string]: unknown };

/**
 * A DuckDB, in the process or compiled to WebAssembly: all that an analyst needs of one. Calls throw
 * what DuckDB throws, and `LakeSyncError`s where it is not DuckDB that fails.
 */
export interface DuckDb {
  /** The lake's files as relations. */
  readonly files: LakeFiles;
  /** Opens a connection; what it makes as TEMP is its own. */
  connect(): Promise<DuckDbConnection>;
  /** Ends it. All connections must be closed. */
  close(): Promise<void>;
}

/** A connection. It does one thing at a time. */
export interface DuckDbConnection {
  /** Runs statements whose rows do not matter. */
  run(sql: string): Promise<void>;
  /** All rows of a query; its parameters are VARCHAR. */
  rows(sql: string, params?: readonly string[]): Promise<readonly QueryRow[]>;
  /** Runs statements, the last one with parameters, and gives the last one's rows as they come. */
  stream(sql: string, params: Params): Promise<DuckDbResult>;
  /** Adds rows to a TEMP table, by column. All of its columns are given, in their order. */
  append(table: string, rows: AppendedRows): Promise<void>;
  /** The one SELECT that a text is; undefined where it is something else. */
  parse(sql: string): Promise<Node | undefined>;
  /** Asks what runs to stop. It may have to be told again. */
  interrupt(): void;
  /** Lets go of it. */
  close(): Promise<void>;
}

/** Rows for a table. */
export interface AppendedRows {
  /** The table's columns. */
  readonly columns: readonly OwnColumn[];
  /** How many rows there are. */
  readonly count: number;
  /** For each column its values. */
  readonly cells: readonly (readonly Cell[])[];
}

/** The rows of a query as they come. */
export interface DuckDbResult {
  /** Its columns; those whose name comes again have `:1`, `:2` … behind it. */
  readonly columns: readonly QueryColumn[];
  /** The next rows, at most 2,048; none at the end. */
  next(): Promise<readonly QueryRow[]>;
}

/** Makes a lake's data files readable. */
export interface LakeFiles {
  /** Makes these readable, until they are let go of. */
  open(
    scans: readonly LakeScan[],
    options: { readonly signal: AbortSignal | undefined },
  ): Promise<OpenFiles>;
}

/** Data files that can be read. */
export interface OpenFiles {
  /** A query of the files of a scan: its rows with these columns, NULL for those that it has not. */
  sql(columns: readonly OwnColumn[], source: FilesSource): string;
  /** What stands for a file in the column `#file` of a table of rows that are gone. */
  place(file: LakeFile): string;
  /** Lets go of them. */
  release(): Promise<void>;
}

/** The files of a scan, and which of their rows are not to be read. */
export interface FilesSource {
  /** The scan; it has files. */
  readonly scan: LakeScan;
  /** A table with the rows that are gone: `#file` and `#place`. @default {undefined} none is */
  readonly gone?: string | undefined;
}

/** The names of a result's columns: one that comes again gets `:1`, `:2` … */
export function uniqueNames(names: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  return names.map((name) => {
    const before = counts.get(name) ?? 0;
    counts.set(name, before + 1);
    return before === 0 ? name : `${name}:${before}`;
  });
}

/** Rows without values yet. Their prototype is null. */
export function emptyRows(count: number): { [column: string]: QueryRow[string] }[] {
  return Array.from({ length: count }, () => Object.create(null));
}
