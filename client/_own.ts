import { insertRows } from "./_insert_rows.ts";
import { type Delta, mergeDelta, type RowState, type SqlTransaction } from "@lakesync/core";

/**
 * The client's own deltas, in the order of making (`ord`), from their making until the end of the
 * retention time. Those before `SETTLED` are on top of the base.
 *
 * ```text
 * made → UNSENT → FLYING → ACCEPTED → SETTLED → removed after the retention time
 *    │      ↑      ↑ │ │ └→ rejected: taken off, into lakesync_rejected
 *    │      └────────┘ └→ SENT → FLYING again
 *    └─ where it can be pushed at once
 * ```
 */
export const OwnState = {
  /** Never sent, or answered in a way that says it is not in the log: may be stamped anew. */
  UNSENT: 0,
  /** In the push under way, or in the one whose answer was lost. */
  FLYING: 1,
  /** Sent with an unknown or revoked outcome: goes into the next push unchanged. */
  SENT: 2,
  /** In the log; the base has not reached its push answer's seq. */
  ACCEPTED: 3,
  /** In the base; kept in case that the gateway is reset. */
  SETTLED: 4,
} as const;

/**
 * The tables for own deltas: `lakesync_own_state` says how each stands, which changes three times, and
 * `lakesync_own_json` has the delta, which hardly ever does. (SQLite takes a partial index only where a
 * query repeats its WHERE.)
 */
export const OWN_SQL: readonly string[] = [
  `CREATE TABLE lakesync_own_state (
    ord INTEGER PRIMARY KEY,
    tbl TEXT NOT NULL,
    row_id TEXT NOT NULL,
    tx_id TEXT,
    state INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    offset_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    seq INTEGER,
    at INTEGER
  )`,
  "CREATE TABLE lakesync_own_json (ord INTEGER PRIMARY KEY, json TEXT NOT NULL)",
  // Not over the settled ones: an index of random keys costs more the more there are.
  "CREATE INDEX lakesync_own_top ON lakesync_own_state (tbl, row_id) WHERE state < 4",
  // Only the accepted ones have a seq: the others are in the order of making.
  "CREATE INDEX lakesync_own_log ON lakesync_own_state (state, seq) WHERE state < 4",
  "CREATE INDEX lakesync_own_settled ON lakesync_own_state (at) WHERE state = 4",
  // What others read (an analyst, the devtools), who know nothing of the two.
  "CREATE VIEW lakesync_own AS SELECT * FROM lakesync_own_state JOIN lakesync_own_json USING (ord)",
  `CREATE TRIGGER lakesync_own_delete INSTEAD OF DELETE ON lakesync_own BEGIN
    DELETE FROM lakesync_own_state WHERE ord = old.ord;
    DELETE FROM lakesync_own_json WHERE ord = old.ord;
  END`,
];

/** The table for dead letters. */
export const REJECTED_SQL: readonly string[] = [
  `CREATE TABLE lakesync_rejected (
    ord INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    json TEXT NOT NULL
  )`,
];

/** Bytes of UTF-8. */
export function utf8Bytes(text: string): number {
  return ASCII.test(text) ? text.length : encoder.encode(text).length;
}

// deno-lint-ignore no-control-regex -- all of ASCII
const ASCII = /^[\x00-\x7f]*$/;
const encoder = new TextEncoder();

/** What {@linkcode addOwn} works with. */
export interface AddOwnOptions {
  /** The gateway's clock minus the device's. */
  readonly offsetMs: number;
  /** Whether they are pushed as soon as they are committed. */
  readonly flying: boolean;
  /** The place of the first of them. */
  readonly ord: number;
}

/** Puts new deltas, with the bytes of their JSON, into the outbox. */
export async function addOwn(
  tx: SqlTransaction,
  deltas: readonly { delta: Delta; json: string; bytes: number }[],
  options: AddOwnOptions,
): Promise<void> {
  const { offsetMs, flying, ord } = options;
  await insertRows(
    tx,
    // A failure ends the transaction: without OR FAIL each statement would keep a copy of every page
    // that it changes, to be able to take back itself alone.
    `INSERT OR FAIL INTO lakesync_own_state (ord, tbl, row_id, tx_id, state, tries, offset_ms, bytes)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    deltas.map(({ delta, bytes }, i) => [
      ord + i,
      delta.table,
      delta.rowId,
      delta.txId ?? null,
      flying ? OwnState.FLYING : OwnState.UNSENT,
      flying ? 1 : 0,
      offsetMs,
      bytes,
    ]),
  );
  await insertRows(
    tx,
    "INSERT INTO lakesync_own_json (ord, json) VALUES (?, ?)",
    deltas.map(({ json }, i) => [ord + i, json]),
  );
}

/** Removes own deltas. */
export async function removeOwn(tx: SqlTransaction, ords: readonly number[]): Promise<void> {
  const params = ords.map((ord) => [ord]);
  await tx.runMany("DELETE FROM lakesync_own_state WHERE ord = ?", params);
  await tx.runMany("DELETE FROM lakesync_own_json WHERE ord = ?", params);
}

/** Rows of one table's deltas on top of the base: merged by {@linkcode mergeOwn}. */
export type OwnOnTop = ReadonlyMap<string, readonly Delta[]>;

/** The own deltas on top of these rows, by row. */
export async function ownOnTop(
  tx: SqlTransaction,
  table: string,
  ids: readonly string[],
): Promise<OwnOnTop> {
  const byRow = new Map<string, Delta[]>();
  if (ids.length > 1 && !(await isAnyOnTop(tx))) return byRow;
  const rows = ids.length === 1
    ? await tx.all(
      "SELECT json FROM lakesync_own_state CROSS JOIN lakesync_own_json USING (ord) " +
        "WHERE tbl = ? AND row_id = ? AND state < 4 ORDER BY ord",
      [table, ids[0]!],
    )
    : await tx.all(
      "SELECT json FROM lakesync_own_state CROSS JOIN lakesync_own_json USING (ord) " +
        "WHERE tbl = ? AND row_id IN (SELECT value FROM json_each(?)) AND state < 4 ORDER BY ord",
      [table, JSON.stringify(ids)],
    );
  for (const { json } of rows) {
    const delta = JSON.parse(json as string) as Delta;
    const list = byRow.get(delta.rowId);
    if (list === undefined) byRow.set(delta.rowId, [delta]);
    else list.push(delta);
  }
  return byRow;
}

/** Whether there are own deltas on top of the base. */
async function isAnyOnTop(tx: SqlTransaction): Promise<boolean> {
  return (await tx.all("SELECT 1 FROM lakesync_own_state WHERE state < 4 LIMIT 1")).length > 0;
}

/** Merges own deltas into a row's state. */
export function mergeOwn(state: RowState, deltas: readonly Delta[] | undefined): void {
  if (deltas !== undefined) { for (const delta of deltas) mergeDelta(state, delta); }
}
