import {
  formatLogSeq,
  hasReached,
  isLogSeq,
  type LogSeq,
  parseLogSeq,
  type PullAnswer,
} from "@lakesync/core";
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

/** How many entries a page leaves to come; undefined where its gateway does not tell. */
export function behindBy({ hasMore, seq, head }: PullAnswer): number | undefined {
  if (!hasMore) return 0;
  if (!isLogSeq(head)) return undefined;
  if (typeof head === "number") return typeof seq === "number" ? head - seq : undefined;
  if (typeof seq === "number") return undefined;
  // Own entries only: a shard's name may be that of something which every object has.
  const come = (shard: string): number => Object.hasOwn(seq, shard) ? seq[shard]! : 0;
  return Object.keys(head).reduce((sum, shard) => sum + head[shard]! - come(shard), 0);
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
    return { sql: `state < 4 AND state = ${OwnState.ACCEPTED} AND seq <= ?`, params: [seq] };
  }
  const reached = (await acceptedSeqs(tx)).filter((accepted) =>
    hasReached(seq, seqFromSql(accepted))
  );
  return {
    sql: `state < 4 AND state = ${OwnState.ACCEPTED} AND seq IN (SELECT value FROM json_each(?))`,
    params: [JSON.stringify(reached)],
  };
}

/** Whether a push was answered with a position that this one has not reached. */
export async function isAcceptedBeyond(tx: SqlTransaction, seq: LogSeq): Promise<boolean> {
  if (typeof seq === "number") {
    const rows = await tx.all(
      `SELECT 1 FROM lakesync_own_state WHERE state < 4 AND state = ${OwnState.ACCEPTED} AND seq > ? LIMIT 1`,
      [seq],
    );
    return rows.length > 0;
  }
  return (await acceptedSeqs(tx)).some((accepted) => !hasReached(seq, seqFromSql(accepted)));
}

/** One for each push that was answered and has not come back yet. */
async function acceptedSeqs(tx: SqlTransaction): Promise<SqlValue[]> {
  const rows = await tx.all(
    `SELECT DISTINCT seq FROM lakesync_own_state WHERE state < 4 AND state = ${OwnState.ACCEPTED}`,
  );
  return rows.map(({ seq }) => seq!);
}
