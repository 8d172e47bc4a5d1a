import { formatLogSeq, hasReached, type LogSeq, parseLogSeq } from "@lakesync/core";
import type { SqlTransaction, SqlValue } from "@lakesync/core";
import { OwnState } from "./_own.ts";

/** A position as the database keeps it: a gateway's as a number, a router's as its text. */
export function seqToSql(seq: LogSeq): SqlValue {
  return typeof seq === "number" ? seq : formatLogSeq(seq);
}

/** A position out of the database. */
export function seqFromSql(value: SqlValue): LogSeq {
  return typeof value === "string" ? parseLogSeq(value) ?? 0 : Number(value);
}

/** Tells whether two positions are the same. */
export function sameSeq(a: LogSeq, b: LogSeq): boolean {
  return formatLogSeq(a) === formatLogSeq(b);
}

/**
 * The condition on `lakesync_own` for accepted deltas whose push's answer a position has reached. (In
 * SQLite every text is above every number: a gateway's position has not reached a router's.)
 */
export async function whereReached(
  tx: SqlTransaction,
  seq: LogSeq,
): Promise<{ sql: string; params: SqlValue[] }> {
  if (typeof seq === "number") {
    return { sql: `state = ${OwnState.ACCEPTED} AND seq <= ?`, params: [seq] };
  }
  const reached = (await acceptedSeqs(tx)).filter((accepted) =>
    hasReached(seq, seqFromSql(accepted))
  );
  return {
    sql: `state = ${OwnState.ACCEPTED} AND seq IN (SELECT value FROM json_each(?))`,
    params: [JSON.stringify(reached)],
  };
}

/** Whether a push was answered with a position that this one has not reached. */
export async function isAcceptedBeyond(tx: SqlTransaction, seq: LogSeq): Promise<boolean> {
  if (typeof seq === "number") {
    const rows = await tx.all(
      `SELECT 1 FROM lakesync_own WHERE state = ${OwnState.ACCEPTED} AND seq > ? LIMIT 1`,
      [seq],
    );
    return rows.length > 0;
  }
  return (await acceptedSeqs(tx)).some((accepted) => !hasReached(seq, seqFromSql(accepted)));
}

/** One for each push that was answered and has not come back yet. */
async function acceptedSeqs(tx: SqlTransaction): Promise<SqlValue[]> {
  const rows = await tx.all(
    `SELECT DISTINCT seq FROM lakesync_own WHERE state = ${OwnState.ACCEPTED}`,
  );
  return rows.map(({ seq }) => seq!);
}
