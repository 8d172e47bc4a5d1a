import {
  type Delta,
  type ErrorCode,
  type LogSeq,
  ok,
  type Result,
  type SqlDatabase,
  type SqlTransaction,
} from "@lakesync/core";
import { OwnState, removeOwn } from "./_own.ts";
import { showTouched, TouchedRows } from "./_show.ts";
import type { LocalTable } from "./_local_table.ts";
import { MAX_PUSH_BYTES, MAX_PUSH_DELTAS, type PushSize } from "./_push_limits.ts";

/** A delta of the push under way. */
export interface FlyingDelta {
  /** Its place among the own deltas. */
  readonly ord: number;
  /** The delta, as it was sent. */
  readonly delta: Delta;
  /** How often it was sent, this time included. */
  readonly tries: number;
  /** The bytes of its JSON. */
  readonly bytes: number;
}

/** A push under way. */
export interface FlyingPush {
  /** Its deltas. */
  readonly deltas: readonly FlyingDelta[];
  /** The log position of the base before it was sent: its answer's is not below. */
  readonly base: LogSeq;
}

/** Deltas of one transaction, or one delta by itself. */
export type DeltaGroup = readonly FlyingDelta[];

/**
 * The next push: the one whose answer never came, unchanged; else whole transactions from the
 * outbox's head up to and with `through`, of at most `limit` deltas where the first of them is not
 * longer.
 *
 * What is returned has been marked as sent, so that a crash does not make it look unsent.
 */
export async function beginPush(
  tx: SqlTransaction,
  options: { limit: number; through: number },
): Promise<readonly FlyingDelta[]> {
  const flying = await readFlying(tx, 0);
  if (flying.length === 0) {
    const through = await lastOfPush(tx, { ...options, longer: false }) ??
      await lastOfPush(tx, { ...options, limit: MAX_PUSH_DELTAS, longer: true });
    if (through === undefined) return [];
    await markFlying(tx, through);
  } else {
    await tx.run("UPDATE lakesync_own_state SET tries = tries + 1 WHERE state < 4 AND state = ?", [
      OwnState.FLYING,
    ]);
  }
  return await readFlying(tx, 0);
}

/**
 * The push after the one that is under way, which ends at `after`: read and marked as
 * {@linkcode beginPush} does. Nothing where that one is not all that comes before it, or where something
 * has been written as flying meanwhile, which then comes first.
 */
export async function prepareNext(
  tx: SqlTransaction,
  options: { limit: number; through: number; after: number; flying: PushSize },
): Promise<readonly FlyingDelta[]> {
  const { after, flying } = options;
  const between = await tx.all(
    `SELECT 1 FROM lakesync_own_state
     WHERE state < 4 AND state = ?1 AND seq IS NULL AND ord > ?2 UNION ALL
     SELECT 1 FROM lakesync_own_state
     WHERE state < 4 AND state IN (?3, ?4) AND seq IS NULL AND ord < ?2 LIMIT 1`,
    [OwnState.FLYING, after, OwnState.UNSENT, OwnState.SENT],
  );
  if (between.length > 0) return [];
  const room = MAX_PUSH_BYTES - flying.bytes;
  const through = await lastOfPush(tx, { ...options, longer: false, room });
  if (through === undefined) return [];
  await markFlying(tx, through);
  return await readFlying(tx, after);
}

async function markFlying(tx: SqlTransaction, through: number): Promise<void> {
  await tx.run(
    "UPDATE lakesync_own_state SET state = ?, tries = tries + 1 " +
      "WHERE state < 4 AND state IN (?, ?) AND seq IS NULL AND ord <= ?",
    [OwnState.FLYING, OwnState.UNSENT, OwnState.SENT, through],
  );
}

/**
 * The `ord` at which a push of at most so many deltas ends; undefined where no transaction fits.
 * With `longer` it ends with the first transaction; with `room` it is undefined also where it has more bytes.
 */
async function lastOfPush(
  tx: SqlTransaction,
  options: { limit: number; through: number; longer: boolean; room?: number },
): Promise<number | undefined> {
  const { limit, longer, room } = options;
  // Each state by itself, because so each is found in order.
  const head = (state: number) =>
    `SELECT * FROM (SELECT ord, tx_id, bytes FROM lakesync_own_state
     WHERE state < 4 AND state = ${state} AND seq IS NULL AND ord <= ?1 ORDER BY ord LIMIT ?2)`;
  const rows = await tx.all(
    `${head(OwnState.UNSENT)} UNION ALL ${head(OwnState.SENT)} ORDER BY ord LIMIT ?2`,
    [options.through, limit + 1],
  );
  let through: number | undefined;
  let bytes = 0;
  let fits = true;
  for (const [i, row] of rows.entries()) {
    bytes += (row.bytes as number) + 1;
    // The first transaction was let in at its commit, when it was small enough.
    if (i === limit || (bytes > MAX_PUSH_BYTES && through !== undefined)) break;
    const next = rows[i + 1];
    const ends = next === undefined || row.tx_id === null || next.tx_id !== row.tx_id;
    if (ends) [through, fits] = [row.ord as number, room === undefined || bytes <= room];
    if (ends && longer) break;
  }
  return fits ? through : undefined;
}

/** How many deltas the gateway has not acknowledged. */
export async function countOutbox(database: SqlDatabase): Promise<Result<number>> {
  const rows = await database.query(
    "SELECT count(*) AS n FROM lakesync_own_state WHERE state < 4 AND state < 3",
  );
  return rows.ok ? ok(rows.value[0]!.n as number) : rows;
}

/** Whether all that the outbox has is flying. */
export async function isAllFlying(tx: SqlTransaction): Promise<boolean> {
  const rows = await tx.all(
    "SELECT 1 FROM lakesync_own_state WHERE state < 4 AND state IN (?, ?) LIMIT 1",
    [OwnState.UNSENT, OwnState.SENT],
  );
  return rows.length === 0;
}

/** Whether the outbox has nothing in it. */
export async function isOutboxEmpty(tx: SqlTransaction): Promise<boolean> {
  return (await tx.all("SELECT 1 FROM lakesync_own_state WHERE state < 4 AND state < 3 LIMIT 1"))
    .length === 0;
}

/** A place that all of the outbox is up to; 0 where it is empty. */
export async function endOfOutbox(tx: SqlTransaction): Promise<number> {
  const rows = await tx.all(
    "SELECT (SELECT max(ord) FROM lakesync_own_state) AS last " +
      "WHERE EXISTS (SELECT 1 FROM lakesync_own_state WHERE state < 4 AND state < 3)",
  );
  return rows[0]?.last as number | undefined ?? 0;
}

/** The deltas that are flying after a place: of the push under way, or of those whose answers never came. */
async function readFlying(tx: SqlTransaction, after: number): Promise<FlyingDelta[]> {
  const rows = await tx.all(
    "SELECT ord, tries, bytes, json " +
      "FROM lakesync_own_state CROSS JOIN lakesync_own_json USING (ord) " +
      "WHERE state < 4 AND state = ? AND seq IS NULL AND ord > ? ORDER BY ord",
    [OwnState.FLYING, after],
  );
  return rows.map(({ ord, tries, bytes, json }) => ({
    ord: ord as number,
    tries: tries as number,
    bytes: bytes as number,
    delta: JSON.parse(json as string) as Delta,
  }));
}

/** Splits a push into its transactions. */
export function groupDeltas(deltas: readonly FlyingDelta[]): readonly DeltaGroup[] {
  const groups: FlyingDelta[][] = [];
  for (const flying of deltas) {
    const last = groups.at(-1);
    const { txId } = flying.delta;
    if (last !== undefined && txId !== undefined && last[0]!.delta.txId === txId) {
      last.push(flying);
    } else groups.push([flying]);
  }
  return groups;
}

/**
 * Takes the push back whose answer said that nothing of it is in the log. What was sent only once
 * is as if never sent.
 */
export async function releasePush(tx: SqlTransaction): Promise<void> {
  await tx.run(
    "UPDATE lakesync_own_state SET state = CASE WHEN tries = 1 THEN ? ELSE ? END, " +
      "tries = CASE WHEN tries = 1 THEN 0 ELSE tries END WHERE state < 4 AND state = ?",
    [OwnState.UNSENT, OwnState.SENT, OwnState.FLYING],
  );
}

/** Takes back what is flying after a place, which was never sent: it is as it was before. */
export async function releaseAfter(tx: SqlTransaction, after: number): Promise<void> {
  await tx.run(
    "UPDATE lakesync_own_state SET state = CASE WHEN tries = 1 THEN ? ELSE ? END, tries = tries - 1 " +
      "WHERE state < 4 AND state = ? AND seq IS NULL AND ord > ?",
    [OwnState.UNSENT, OwnState.SENT, OwnState.FLYING, after],
  );
}

/** The first of some deltas that make a push: whole transactions, of at most `limit` deltas where the first is not longer. */
export function headOf(deltas: readonly FlyingDelta[], limit: number): readonly FlyingDelta[] {
  let end = 0;
  for (let i = 0; i < deltas.length && (end === 0 || i < limit); i++) {
    const { txId } = deltas[i]!.delta;
    if (txId === undefined || deltas[i + 1]?.delta.txId !== txId) end = i + 1;
  }
  return deltas.slice(0, end);
}

/** A delta on its way to the dead letters. */
export interface Refusal {
  readonly flying: FlyingDelta;
  readonly code: ErrorCode;
  readonly message: string;
}

/** Takes deltas off, so that their rows fall back, and keeps them as dead letters; the rows. */
export async function bury(
  tx: SqlTransaction,
  refusals: readonly Refusal[],
  options: { now: number; tables: ReadonlyMap<string, LocalTable> },
): Promise<TouchedRows> {
  const touched = new TouchedRows();
  if (refusals.length === 0) return touched;
  for (const { flying } of refusals) touched.add(flying.delta.table, flying.delta.rowId);
  await removeOwn(tx, refusals.map(({ flying }) => flying.ord));
  await tx.runMany(
    "INSERT INTO lakesync_rejected (at, code, message, json) VALUES (?, ?, ?, ?)",
    refusals.map(({ flying, code, message }) => [
      options.now,
      code,
      message,
      JSON.stringify(flying.delta),
    ]),
  );
  await showTouched(tx, options.tables, touched);
  return touched;
}
