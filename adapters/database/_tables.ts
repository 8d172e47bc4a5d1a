import type { SqlColumnType } from "@lakesync/core";

/** A column of a table that LakeSync makes. */
export interface OwnColumn {
  readonly name: string;
  readonly type: SqlColumnType;
  readonly nullable?: boolean;
}

/** A table of LakeSync's own. */
export interface OwnTable {
  readonly name: string;
  readonly columns: readonly OwnColumn[];
  /** How many of the first columns are the primary key. */
  readonly key: number;
  /** Columns of an index beside it. */
  readonly index?: readonly string[];
}

/** The form of the tables below. A database with another one is left alone. */
export const FORMAT = 1;

/** `format`, and `pos`: the last delta's place. Its lock is the order of all writers. */
export const HEAD: OwnTable = {
  name: "lakesync_head",
  columns: [{ name: "name", type: "name" }, { name: "value", type: "integer" }],
  key: 1,
};

/** A row a table: its watermark, and the place up to which it is materialised. */
export const TABLES: OwnTable = {
  name: "lakesync_tables",
  columns: [
    { name: "table_name", type: "name" },
    { name: "epoch", type: "name" },
    { name: "seq", type: "integer" },
    { name: "done", type: "integer" },
  ],
  key: 1,
};

/** A row a delta, in the order in which they were inserted. */
export const DELTAS: OwnTable = {
  name: "lakesync_deltas",
  columns: [
    { name: "pos", type: "integer" },
    { name: "table_name", type: "name" },
    { name: "seq", type: "integer" },
    { name: "at", type: "integer" },
    { name: "row_key", type: "key" },
    { name: "delta", type: "text" },
  ],
  key: 1,
  index: ["table_name", "pos"],
};

/** A row a row: what its deltas merge to, with the stamps. */
export const ROWS: OwnTable = {
  name: "lakesync_rows",
  columns: [
    { name: "row_key", type: "key" },
    { name: "state", type: "text" },
  ],
  key: 1,
};

/**
 * A row's key among those of all tables: in one column, so that a database without statistics knows
 * too that it finds one row. A table's rows are those between its name with `/` and with `0` behind it.
 */
export function rowKey(table: string, rowId: string): string {
  return `${table}/${rowId}`;
}

/** What follows the keys of a table's rows. */
export function rowKeysEnd(table: string): string {
  return `${table}0`;
}

/** All of them. */
export const OWN_TABLES: readonly OwnTable[] = [HEAD, TABLES, DELTAS, ROWS];
