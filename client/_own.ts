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

/** The tables for own deltas. (SQLite takes a partial index only where a query repeats its WHERE.) */
export const OWN_SQL: readonly string[] = [
  `CREATE TABLE lakesync_own (
    ord INTEGER PRIMARY KEY,
    delta_id TEXT NOT NULL UNIQUE,
    tbl TEXT NOT NULL,
    row_id TEXT NOT NULL,
    tx_id TEXT,
    state INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    offset_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    seq INTEGER,
    at INTEGER,
    json TEXT NOT NULL
  )`,
  "CREATE INDEX lakesync_own_top ON lakesync_own (tbl, row_id) WHERE state < 4",
  "CREATE INDEX lakesync_own_outbox ON lakesync_own (state, ord) WHERE state < 3",
  "CREATE INDEX lakesync_own_accepted ON lakesync_own (seq) WHERE state = 3",
  "CREATE INDEX lakesync_own_settled ON lakesync_own (at) WHERE state = 4",
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
  return encoder.encode(text).length;
}

const encoder = new TextEncoder();

/** What {@linkcode addOwn} works with. */
export interface AddOwnOptions {
  /** The gateway's clock minus the device's. */
  readonly offsetMs: number;
  /** Whether they are pushed as soon as they are committed. */
  readonly flying: boolean;
}

/** Puts new deltas, with the bytes of their JSON, into the outbox. */
export async function addOwn(
  tx: SqlTransaction,
  deltas: readonly { delta: Delta; json: string; bytes: number }[],
  options: AddOwnOptions,
): Promise<void> {
  const { offsetMs, flying } = options;
  await tx.runMany(
    `INSERT INTO lakesync_own (delta_id, tbl, row_id, tx_id, state, tries, offset_ms, bytes, json)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    deltas.map(({ delta, json, bytes }) => [
      delta.deltaId,
      delta.table,
      delta.rowId,
      delta.txId ?? null,
      flying ? OwnState.FLYING : OwnState.UNSENT,
      flying ? 1 : 0,
      offsetMs,
      bytes,
      json,
    ]),
  );
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
  const rows = ids.length === 1
    ? await tx.all(
      "SELECT json FROM lakesync_own " +
        "WHERE tbl = ? AND row_id = ? AND state < 4 ORDER BY ord",
      [table, ids[0]!],
    )
    : await tx.all(
      "SELECT json FROM lakesync_own " +
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

/** Merges own deltas into a row's state. */
export function mergeOwn(state: RowState, deltas: readonly Delta[] | undefined): void {
  if (deltas !== undefined) { for (const delta of deltas) mergeDelta(state, delta); }
}
