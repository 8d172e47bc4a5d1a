import { cloneRow, emptyRow, isVisible, type RowState, type SqlTransaction } from "@lakesync/core";
import { readBase } from "./_base.ts";
import { type LocalTable, shownParams } from "./_local_table.ts";
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

  /** The tables that have noted rows. */
  get tables(): readonly string[] {
    return [...this.#byTable.keys()];
  }

  /** The noted rows of a table. */
  rows(table: string): readonly string[] {
    return [...this.#byTable.get(table) ?? []];
  }
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
  if (put.length > 0) await tx.runMany(table.shown.put, put);
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
