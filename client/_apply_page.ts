import {
  decodeRow,
  type Delta,
  emptyRow,
  hasReached,
  type Hlc,
  isDelta,
  isIdentifier,
  isVisible,
  LakeSyncError,
  mergeDelta,
  type PageItem,
  type PullAnswer,
  type RowState,
  type SqlTransaction,
} from "@lakesync/core";
import { encodeBase, readBase } from "./_base.ts";
import { findOnTop, type FoundOwn } from "./_find_own.ts";
import { addFresh, partFresh, showFresh } from "./_fresh_rows.ts";
import { insertRows } from "./_insert_rows.ts";
import { learn, widened } from "./_learned.ts";
import type { Changed } from "./_live_hub.ts";
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
  /** It is in the base; these rows may show differently. */
  | { readonly status: "applied"; readonly changed: Changed }
  /** Its cursor is not the one held any more: nothing was done. */
  | { readonly status: "stale" }
  /** The same, and the base has come as far as the page goes. */
  | { readonly status: "overtaken" }
  /** It cannot follow on what is held: a checkpoint is due now. */
  | { readonly status: "checkpoint" };

/** Applies a page and its cursor, within one transaction (PROTOCOL, section 2). */
export async function applyPage(
  tx: SqlTransaction,
  page: PullAnswer,
  options: ApplyPageOptions,
): Promise<PageOutcome> {
  const state = await readState(tx);
  if (state.cursor !== options.cursor || state.due !== 0) {
    const isThere = state.due === 0 && hasReached(state.seq, page.seq);
    return { status: isThere ? "overtaken" : "stale" };
  }
  const clockMoved = takeServerTime(state, page.serverHlc, options);
  if (!options.live && !page.hasMore && await isAcceptedBeyond(tx, page.seq)) {
    // The log ends before a push that it answered: it was restored.
    state.due = 2;
    await writeState(tx, state);
    return { status: "checkpoint" };
  }
  const nothing = page.deltas.length === 0 && page.cursor === state.cursor &&
    sameSeq(page.seq, state.seq);
  if (nothing && page.schema === undefined) {
    if (clockMoved) await writeState(tx, state);
    return { status: "applied", changed: new Map() };
  }
  const found = await findOwn(tx, page.deltas);
  if (found === undefined) {
    state.due = 1;
    await writeState(tx, state);
    return { status: "checkpoint" };
  }
  const { deltas: own, ords } = found;
  const grown = page.schema === undefined
    ? []
    : await learn(tx, state, { schema: page.schema, declared: options.tables });
  const tables = widened(options.tables, state.learned);
  const { fresh, rest } = partFresh(page.deltas, { own, tables });
  const added = new Map(fresh);
  for (const [name, rows] of fresh) {
    if (await addFresh(tx, tables.get(name)!, rows)) continue;
    added.delete(name);
    for (const { item } of rows.values()) rest.push(item);
  }
  const base = await readTouched(tx, rest, { own, tables });
  let greatest: Hlc | undefined;
  for (const rows of fresh.values()) {
    for (const { delta } of rows.values()) greatest = maxHlc(greatest, delta.hlc);
  }
  for (const item of rest) greatest = maxHlc(greatest, merge(base, item, own));
  observe(state, greatest);
  state.cursor = page.cursor;
  state.seq = page.seq;
  await writeState(tx, state);

  const changed = changedRows(rest);
  if (own.size > 0) await settleReturned(tx, ords, { now: options.receivedAt });
  await settle(tx, state, { now: options.receivedAt, touched: changed });
  for (const [name, rows] of base) await writeBase(tx, tables.get(name)!, rows);
  for (const [name, rows] of added) {
    for (const id of await showFresh(tx, tables.get(name)!, rows)) changed.add(name, id);
  }
  for (const name of changed.tables) {
    const table = tables.get(name);
    if (table !== undefined) await showRows(tx, table, changed.rows(name), base.get(name));
  }
  for (const [name, rows] of added) {
    for (const [id, { item }] of rows) if (item.op !== "OWN") changed.add(name, id);
  }
  const all = grown.map((name) => [name, undefined] as const);
  return { status: "applied", changed: new Map([...changed.changed, ...all]) };
}

/** Whether a page tells nothing but what this device has said: the gateway would tell it once more. */
export function isOwnPage({ deltas, schema }: PullAnswer): boolean {
  return schema === undefined && deltas.every(({ op }) => op === "OWN");
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

/** The page's own deltas by id, and their places; undefined where one is not held any more. */
async function findOwn(
  tx: SqlTransaction,
  items: readonly PageItem[],
): Promise<FoundOwn | undefined> {
  const ids = items.flatMap((item) => item.op === "OWN" ? [item.deltaId] : []);
  if (ids.length === 0) return { deltas: new Map(), ords: [] };
  return await findOnTop(tx, new Set(ids));
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
      // A column that this version of the app doesn't know is kept: it may be learned or declared.
      for (const column of state.columns.keys()) {
        if (!table.columns.has(column) && !isIdentifier(column)) state.columns.delete(column);
      }
      put.push([id, encodeBase(state)]);
    } else {
      rows.set(id, undefined);
      remove.push([id]);
    }
  }
  if (put.length > 0) await insertRows(tx, table.base.put, put);
  if (remove.length > 0) await tx.runMany(table.base.remove, remove);
}
