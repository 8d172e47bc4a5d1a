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
}

/**
 * The form of the tables below. A database with a later one is left alone, one with an earlier one is
 * taken over: since 2 a state leaves out stamps that are its life's.
 */
export const FORMAT = 2;

/** `format`, and `pos`: the last delta's place. Its lock is the order of all writers. */
export const HEAD: OwnTable = {
  name: "lakesync_head",
  columns: [{ name: "name", type: "name" }, { name: "value", type: "integer" }],
  key: 1,
};

/**
 * A row a table: its watermark, and the place up to which it is materialised. `log_hash` came later: it is
 * added to tables that were made before, and versions that do not know it leave it as it is. So it
 * names the seq that it is of.
 */
export const TABLES: OwnTable = {
  name: "lakesync_tables",
  columns: [
    { name: "table_name", type: "name" },
    { name: "epoch", type: "name" },
    { name: "seq", type: "integer" },
    { name: "done", type: "integer" },
    { name: "log_hash", type: "name", nullable: true },
  ],
  key: 1,
};

/**
 * A row a delta; `pos` rises with the order in which they were inserted, without gaps. One key and no
 * index beside it: format 1 had the place alone as its key and an index by table, either will do.
 */
export const DELTAS: OwnTable = {
  name: "lakesync_deltas",
  columns: [
    { name: "table_name", type: "name" },
    { name: "pos", type: "integer" },
    { name: "seq", type: "integer" },
    { name: "at", type: "integer" },
    { name: "row_key", type: "key" },
    { name: "delta", type: "text" },
  ],
  key: 2,
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
