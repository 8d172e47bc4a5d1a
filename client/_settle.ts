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
  // Out of their JSON: Deno's node:sqlite ends a text at its first NUL.
  const rows = await tx.all(
    `SELECT json FROM lakesync_own_state CROSS JOIN lakesync_own_json USING (ord) WHERE ${reached.sql}`,
    reached.params,
  );
  if (rows.length === 0) return;
  for (const { json } of rows) {
    const { table, rowId } = JSON.parse(json as string) as Delta;
    options.touched.add(table, rowId);
  }
  await tx.run(`UPDATE lakesync_own_state SET state = ?, at = ? WHERE ${reached.sql}`, [
    OwnState.SETTLED,
    options.now,
    ...reached.params,
  ]);
}

/**
 * Takes accepted deltas off the top that have come back: they are in the base, so that their rows
 * show as before.
 */
export async function settleReturned(
  tx: SqlTransaction,
  ords: readonly number[],
  options: { now: number },
): Promise<void> {
  // One after the other, as a rule. The plus keeps SQLite from looking at all that are accepted.
  const [first, last] = [Math.min(...ords), Math.max(...ords)];
  const [which, params] = last - first + 1 === ords.length
    ? ["BETWEEN ? AND ?", [first, last]]
    : ["IN (SELECT value FROM json_each(?))", [JSON.stringify(ords)]];
  await tx.run(
    `UPDATE lakesync_own_state SET state = ?, at = ? WHERE +state = ${OwnState.ACCEPTED} AND ord ${which}`,
    [OwnState.SETTLED, options.now, ...params],
  );
}

/**
 * Puts every accepted delta back into the outbox unchanged: the gateway was reset or restored. The
 * caller lays them onto the base.
 *
 * @returns How many came into the outbox so.
 */
export async function reenqueue(tx: SqlTransaction): Promise<number> {
  return await tx.run(
    "UPDATE lakesync_own_state SET state = ?, seq = NULL, at = NULL WHERE state IN (?, ?)",
    [OwnState.SENT, OwnState.ACCEPTED, OwnState.SETTLED],
  );
}

/** Removes settled deltas that were kept for the retention time. */
export async function pruneOwn(tx: SqlTransaction, options: { before: number }): Promise<void> {
  const kept = `FROM lakesync_own_state WHERE state = ${OwnState.SETTLED} AND at < ?`;
  const removed = await tx.run(
    `DELETE FROM lakesync_own_json WHERE ord IN (SELECT ord ${kept})`,
    [options.before],
  );
  if (removed > 0) await tx.run(`DELETE ${kept}`, [options.before]);
}
