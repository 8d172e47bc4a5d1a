import type { Delta, SqlTransaction } from "@lakesync/core";
import { OwnState } from "./_own.ts";
import type { TouchedRows } from "./_show.ts";
import type { ClientState } from "./_state.ts";
import { whereReached } from "./_log_seq.ts";

/**
 * Takes accepted deltas off the top that the base has reached (PROTOCOL, section 2, *The client's
 * side*), and notes their rows.
 */
export async function settle(
  tx: SqlTransaction,
  state: ClientState,
  options: { now: number; touched: TouchedRows },
): Promise<void> {
  // While a checkpoint is due the base stands still, and its seq may be that of another epoch.
  if (state.due === 2) return;
  const reached = await whereReached(tx, state.seq);
  const rows = await tx.all(
    `UPDATE lakesync_own SET state = ?, at = ? WHERE ${reached.sql} RETURNING json`,
    [OwnState.SETTLED, options.now, ...reached.params],
  );
  for (const { json } of rows) {
    const { table, rowId } = JSON.parse(json as string) as Delta;
    options.touched.add(table, rowId);
  }
}

/**
 * Takes accepted deltas off the top that have come back: they are in the base, so that their rows
 * show as before.
 */
export async function settleReturned(
  tx: SqlTransaction,
  deltaIds: readonly string[],
  options: { now: number },
): Promise<void> {
  await tx.run(
    `UPDATE lakesync_own SET state = ?, at = ? WHERE state = ${OwnState.ACCEPTED}
     AND delta_id IN (SELECT value FROM json_each(?))`,
    [OwnState.SETTLED, options.now, JSON.stringify(deltaIds)],
  );
}

/**
 * Puts every accepted delta back into the outbox unchanged: the gateway was reset or restored. The
 * caller lays them onto the base.
 */
export async function reenqueue(tx: SqlTransaction): Promise<void> {
  await tx.run(
    "UPDATE lakesync_own SET state = ?, seq = NULL, at = NULL WHERE state IN (?, ?)",
    [OwnState.SENT, OwnState.ACCEPTED, OwnState.SETTLED],
  );
}

/** Removes settled deltas that were kept for the retention time. */
export async function pruneOwn(tx: SqlTransaction, options: { before: number }): Promise<void> {
  await tx.run(
    `DELETE FROM lakesync_own WHERE state = ${OwnState.SETTLED} AND at < ?`,
    [options.before],
  );
}
