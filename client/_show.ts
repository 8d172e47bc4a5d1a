import {
  cloneRow,
  type Delta,
  emptyRow,
  isVisible,
  mergeDelta,
  type RowState,
  type SqlTransaction,
} from "@lakesync/core";
import { decodeBase, readBase } from "./_base.ts";
import { insertRows } from "./_insert_rows.ts";
import { type LocalTable, shownParams } from "./_local_table.ts";
import type { Changed } from "./_live_hub.ts";
import { mergeOwn, ownOnTop } from "./_own.ts";

/** Rows to bring up to date, by table and id. */
export class TouchedRows {
  readonly #byTable: Map<string, Set<string>> = new Map();

  /** Notes a row. */
  add(table: string, rowId: string): void {
    const rows = this.#byTable.get(table);
    if (rows === undefined) this.#byTable.set(table, new Set([rowId]));
    else rows.add(rowId);
  }

  /** The noted rows by table, for those who follow them. */
  get changed(): Changed {
    return this.#byTable;
  }

  /** Notes all that others have noted. */
  addAll(others: TouchedRows): void {
    for (const table of others.tables) for (const id of others.rows(table)) this.add(table, id);
  }

  /** The tables that have noted rows. */
  get tables(): readonly string[] {
    return [...this.#byTable.keys()];
  }

  /** The noted rows of a table, sorted: SQLite finds and writes its rows faster in that order. */
  rows(table: string): readonly string[] {
    return [...this.#byTable.get(table) ?? []].sort();
  }
}

/** A row's state: base ∪ own deltas, in one statement. */
export async function readRow(
  tx: SqlTransaction,
  table: LocalTable,
  id: string,
): Promise<RowState> {
  const rows = await tx.all(
    `SELECT 1 AS base, state AS text FROM ${table.base.name} WHERE id = ?1 UNION ALL
     SELECT 0, json FROM lakesync_own_state CROSS JOIN lakesync_own_json USING (ord)
     WHERE tbl = ?2 AND row_id = ?1 AND state < 4`,
    [id, table.name],
  );
  const told = rows.find(({ base }) => base === 1);
  const state = told === undefined ? emptyRow() : decodeBase(told.text as string);
  // In any order: merging does not depend on it.
  for (const row of rows) {
    if (row !== told) mergeDelta(state, JSON.parse(row.text as string) as Delta);
  }
  return state;
}

/** Which of these rows show. */
export async function shownAmong(
  tx: SqlTransaction,
  table: LocalTable,
  ids: readonly string[],
): Promise<Set<string>> {
  const rows = ids.length === 0 ? [] : await tx.all(
    `SELECT j.key AS i FROM json_each(?) j CROSS JOIN ${table.shown.name} t ON t.id = j.value`,
    [JSON.stringify(ids)],
  );
  return new Set(rows.map(({ i }) => ids[i as number]!));
}

/**
 * Makes the app's table show base ∪ own deltas for these rows. `base` holds their base states where
 * the caller has read them already.
 */
export async function showRows(
  tx: SqlTransaction,
  table: LocalTable,
  ids: readonly string[],
  base?: ReadonlyMap<string, RowState | undefined>,
): Promise<void> {
  if (ids.length === 0) return;
  const missing = base === undefined ? ids : ids.filter((id) => !base.has(id));
  const read = missing.length === 0 ? undefined : await readBase(tx, table, missing);
  const own = await ownOnTop(tx, table.name, ids);
  const put = [];
  const remove = [];
  for (const id of ids) {
    let state = base?.get(id) ?? read?.get(id);
    const deltas = own.get(id);
    if (deltas !== undefined) {
      state = state === undefined ? emptyRow() : cloneRow(state);
      mergeOwn(state, deltas);
    }
    if (state !== undefined && isVisible(state)) put.push(shownParams(table, id, state));
    else remove.push([id]);
  }
  if (put.length > 0) await insertRows(tx, table.shown.put, put);
  if (remove.length > 0) await tx.runMany(table.shown.remove, remove);
}

/** {@linkcode showRows} for the rows of several tables; those of unknown tables are left alone. */
export async function showTouched(
  tx: SqlTransaction,
  tables: ReadonlyMap<string, LocalTable>,
  touched: TouchedRows,
): Promise<void> {
  for (const name of touched.tables) {
    const table = tables.get(name);
    if (table !== undefined) await showRows(tx, table, touched.rows(name));
  }
}
