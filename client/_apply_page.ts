import {
  decodeRow,
  type Delta,
  emptyRow,
  type Hlc,
  isDelta,
  isVisible,
  LakeSyncError,
  mergeDelta,
  type PageItem,
  type PullAnswer,
  type RowState,
  type SqlTransaction,
} from "@lakesync/core";
import { encodeBase, readBase } from "./_base.ts";
import type { LocalTable } from "./_local_table.ts";
import { takeServerTime } from "./_server_time.ts";
import { settle, settleReturned } from "./_settle.ts";
import { showRows, TouchedRows } from "./_show.ts";
import { maxHlc, observe, readState, writeState } from "./_state.ts";
import { isAcceptedBeyond, sameSeq } from "./_log_seq.ts";

/** What {@linkcode applyPage} works with. */
export interface ApplyPageOptions {
  /** The cursor that the page was asked with. */
  cursor: string;
  /** The declared tables. */
  tables: ReadonlyMap<string, LocalTable>;
  /** The device's time when the page came, in ms. */
  receivedAt: number;
  /**
   * Whether it came by itself: it may be older than a push that was answered since, and so tells
   * nothing about where the log ends.
   */
  live: boolean;
}

/** What became of a page. */
export type PageOutcome =
  /** It is in the base; these tables changed. */
  | { readonly status: "applied"; readonly tables: readonly string[] }
  /** Its cursor is not the one held any more: nothing was done. */
  | { readonly status: "stale" }
  /** It cannot follow on what is held: a checkpoint is due now. */
  | { readonly status: "checkpoint" };

/** Applies a page and its cursor, within one transaction (PROTOCOL, section 2). */
export async function applyPage(
  tx: SqlTransaction,
  page: PullAnswer,
  options: ApplyPageOptions,
): Promise<PageOutcome> {
  const state = await readState(tx);
  if (state.cursor !== options.cursor || state.due !== 0) return { status: "stale" };
  const clockMoved = takeServerTime(state, page.serverHlc, options);
  if (!options.live && !page.hasMore && await isAcceptedBeyond(tx, page.seq)) {
    // The log ends before a push that it answered: it was restored.
    state.due = 2;
    await writeState(tx, state);
    return { status: "checkpoint" };
  }
  if (page.deltas.length === 0 && page.cursor === state.cursor && sameSeq(page.seq, state.seq)) {
    if (clockMoved) await writeState(tx, state);
    return { status: "applied", tables: [] };
  }
  const own = await findOwn(tx, page.deltas);
  if (own === undefined) {
    state.due = 1;
    await writeState(tx, state);
    return { status: "checkpoint" };
  }
  const base = await readTouched(tx, page.deltas, { own, tables: options.tables });
  let greatest: Hlc | undefined;
  for (const item of page.deltas) greatest = maxHlc(greatest, merge(base, item, own));
  observe(state, greatest);
  state.cursor = page.cursor;
  state.seq = page.seq;
  await writeState(tx, state);

  const changed = changedRows(page.deltas);
  if (own.size > 0) await settleReturned(tx, [...own.keys()], { now: options.receivedAt });
  await settle(tx, state, { now: options.receivedAt, touched: changed });
  for (const [name, rows] of base) await writeBase(tx, options.tables.get(name)!, rows);
  for (const name of changed.tables) {
    const table = options.tables.get(name);
    if (table !== undefined) await showRows(tx, table, changed.rows(name), base.get(name));
  }
  return { status: "applied", tables: changed.tables };
}

/**
 * The rows that may show differently. Where only own deltas come back a row shows as before: they
 * were on top, and merging them once more changes nothing.
 */
function changedRows(items: readonly PageItem[]): TouchedRows {
  const changed = new TouchedRows();
  for (const item of items) if (item.op !== "OWN") changed.add(item.table, item.rowId);
  return changed;
}

/** The rows that a page touches, as the base has them; undefined is a row that is not in it. */
type TouchedBase = Map<string, Map<string, RowState | undefined>>;

/** The page's own deltas by id; undefined where one is not held any more. */
async function findOwn(
  tx: SqlTransaction,
  items: readonly PageItem[],
): Promise<ReadonlyMap<string, Delta> | undefined> {
  const ids = [...new Set(items.flatMap((item) => item.op === "OWN" ? [item.deltaId] : []))];
  if (ids.length === 0) return new Map();
  const rows = await tx.all(
    "SELECT delta_id, json FROM lakesync_own WHERE delta_id IN (SELECT value FROM json_each(?))",
    [JSON.stringify(ids)],
  );
  if (rows.length < ids.length) return undefined;
  return new Map(
    rows.map(({ delta_id, json }) => [delta_id as string, JSON.parse(json as string) as Delta]),
  );
}

async function readTouched(
  tx: SqlTransaction,
  items: readonly PageItem[],
  options: { own: ReadonlyMap<string, Delta>; tables: ReadonlyMap<string, LocalTable> },
): Promise<TouchedBase> {
  const touched = new TouchedRows();
  for (const item of items) {
    const { table, rowId } = item.op === "OWN" ? options.own.get(item.deltaId)! : item;
    // A table that this version of the app doesn't know: a later one takes a checkpoint.
    if (options.tables.has(table)) touched.add(table, rowId);
  }
  const base: TouchedBase = new Map();
  for (const name of touched.tables) {
    const ids = touched.rows(name);
    const table = options.tables.get(name)!;
    const read = await readBase(tx, table, ids);
    base.set(name, new Map(ids.map((id) => [id, read.get(id)])));
  }
  return base;
}

/** Merges an item into the rows; the greatest stamp that it carries. */
function merge(
  base: TouchedBase,
  item: PageItem,
  own: ReadonlyMap<string, Delta>,
): Hlc | undefined {
  switch (item.op) {
    case "OWN":
      return mergeItem(base, own.get(item.deltaId)!);
    case "INSERT":
    case "UPDATE":
      return mergeItem(base, item);
    case "DELETE":
      if (isDelta(item)) return mergeItem(base, item);
      base.get(item.table)?.set(item.rowId, undefined);
      return undefined;
    case "REMOVE":
      base.get(item.table)?.set(item.rowId, undefined);
      return undefined;
    case "ENTER": {
      const entered = decodeRow(item);
      base.get(item.table)?.set(item.rowId, entered);
      return greatestStamp(entered);
    }
    default: {
      const { op } = item as { op: unknown };
      throw new LakeSyncError(
        "VALIDATION_ERROR",
        `Cannot apply a page with an item "${op}": this client is older than its gateway, update @lakesync/client`,
      );
    }
  }
}

function mergeItem(base: TouchedBase, delta: Delta): Hlc {
  const rows = base.get(delta.table);
  if (rows !== undefined) {
    const state = rows.get(delta.rowId) ?? emptyRow();
    mergeDelta(state, delta);
    rows.set(delta.rowId, state);
  }
  return delta.hlc;
}

/** The greatest stamp of a row. */
export function greatestStamp(state: RowState): Hlc | undefined {
  let greatest = state.life?.hlc;
  for (const register of state.columns.values()) greatest = maxHlc(greatest, register[1]);
  return greatest;
}

/** Writes rows of the base; it keeps no row that is not visible. */
async function writeBase(
  tx: SqlTransaction,
  table: LocalTable,
  rows: Map<string, RowState | undefined>,
): Promise<void> {
  const put = [];
  const remove = [];
  for (const [id, state] of rows) {
    if (state !== undefined && isVisible(state)) {
      // A column that this version of the app doesn't know, as with tables above.
      for (const column of state.columns.keys()) {
        if (!table.columns.has(column)) state.columns.delete(column);
      }
      put.push([id, encodeBase(state)]);
    } else {
      rows.set(id, undefined);
      remove.push([id]);
    }
  }
  if (put.length > 0) await tx.runMany(table.base.put, put);
  if (remove.length > 0) await tx.runMany(table.base.remove, remove);
}
