import type { Delta, PageItem, SqlTransaction } from "@lakesync/core";
import { encodeInserted } from "./_base.ts";
import { insertRows } from "./_insert_rows.ts";
import { insertedParams, type LocalTable } from "./_local_table.ts";
import { ownOnTop } from "./_own.ts";

/** A row of which a page has an INSERT and nothing else. */
interface FreshRow {
  /** What the page has. */
  readonly item: PageItem;
  /** The INSERT, also where the page has only its id. */
  readonly delta: Delta;
}

/** Fresh rows by table and id. */
export type FreshRows = ReadonlyMap<string, ReadonlyMap<string, FreshRow>>;

/**
 * Parts the rows that a page only inserts from all others. As a rule they are new, and can be written
 * without having been read.
 *
 * @returns The fresh rows, and the items of all others: for each row in the page's order.
 */
export function partFresh(
  items: readonly PageItem[],
  options: { own: ReadonlyMap<string, Delta>; tables: ReadonlyMap<string, LocalTable> },
): { fresh: FreshRows; rest: PageItem[] } {
  const { own, tables } = options;
  // Undefined is a row of which there is more.
  const seen = new Map<string, Map<string, FreshRow | undefined>>();
  const rest: PageItem[] = [];
  for (const item of items) {
    const found = item.op === "OWN" ? own.get(item.deltaId)! : item;
    const { table, rowId } = found;
    let rows = seen.get(table);
    if (rows === undefined) seen.set(table, rows = new Map());
    if (found.op === "INSERT" && tables.has(table) && !rows.has(rowId)) {
      rows.set(rowId, { item, delta: found });
      continue;
    }
    const before = rows.get(rowId);
    if (before !== undefined) rest.push(before.item);
    rows.set(rowId, undefined);
    rest.push(item);
  }
  const fresh = new Map<string, Map<string, FreshRow>>();
  for (const [table, rows] of seen) {
    const only = new Map<string, FreshRow>();
    // In order, because SQLite writes its rows faster so.
    for (const id of [...rows.keys()].sort()) {
      const row = rows.get(id);
      if (row !== undefined) only.set(id, row);
    }
    if (only.size > 0) fresh.set(table, only);
  }
  return { fresh, rest };
}

/** Puts fresh rows into the base; false where one was there: then all of them are to be merged. */
export async function addFresh(
  tx: SqlTransaction,
  table: LocalTable,
  rows: ReadonlyMap<string, FreshRow>,
): Promise<boolean> {
  const params = [...rows].map(([id, { delta }]) => [id, encodeInserted(delta, table)]);
  return await insertRows(tx, table.base.addNew, params) === params.length;
}

/**
 * Shows fresh rows that others have made; the device's own show already.
 *
 * @returns The ids of those that have own deltas on top of them, which are left to the caller.
 */
export async function showFresh(
  tx: SqlTransaction,
  table: LocalTable,
  rows: ReadonlyMap<string, FreshRow>,
): Promise<readonly string[]> {
  const foreign = [...rows].filter(([, { item }]) => item.op !== "OWN").map(([id]) => id);
  if (foreign.length === 0) return [];
  const own = await ownOnTop(tx, table.name, foreign);
  const plain = own.size === 0 ? foreign : foreign.filter((id) => !own.has(id));
  await insertRows(
    tx,
    table.shown.put,
    plain.map((id) => insertedParams(table, rows.get(id)!.delta)),
  );
  return own.size === 0 ? [] : foreign.filter((id) => own.has(id));
}
