import { compareStamps, type LogPosition, type Stamp } from "@lakesync/core";
import { hashText } from "./log_hash.ts";
import { rowFromJson } from "./row_json.ts";
import { greatestStamp } from "./row_stamp.ts";
import type { Statements } from "./sqlite_statements.ts";

/** So many entries or rows go in one commit, so that no append waits long behind a trim. */
const STEP = 10_000;

/** The last end of a transaction up to a seq; undefined where there is none in the log. */
export function lastTxEnd(statements: Statements, through: number): number | undefined {
  return (statements.lastTxEnd.get(through) as { seq: number } | undefined)?.seq;
}

/**
 * Removes some entries, within the caller's transaction.
 *
 * @param statements The statements.
 * @param range Behind which seq the log begins, and the end of a transaction that it is to lose.
 * @returns Where the log begins then.
 */
export function trimStep(
  statements: Statements,
  range: { trimmed: number; last: number },
): LogPosition {
  const through = Math.min(range.last, range.trimmed + STEP);
  // A transaction that the step would cut goes whole.
  const { tx_last: end } = statements.entry.get(through) as { tx_last: number };
  const { hash } = statements.entry.get(end) as { hash: number };
  statements.keepLastPushes.run(end);
  statements.deleteKeys.run(end);
  statements.deleteLog.run(end);
  statements.dropOldPushes.run();
  const trimmed: LogPosition = { seq: end, hash: hashText(hash) };
  statements.setMeta.run("trimmed", JSON.stringify(trimmed));
  return trimmed;
}

/**
 * Removes some dead and lifeless rows whose entries are trimmed, within the caller's transaction.
 *
 * @param statements The statements.
 * @param state How far the log is trimmed, and the greatest stamp that was purged so far.
 * @returns The greatest stamp now; undefined where no row was left to remove.
 */
export function purgeStep(
  statements: Statements,
  state: { trimmed: number; purged: Stamp | undefined },
): Stamp | undefined {
  const gone = statements.gone.all(state.trimmed, STEP) as unknown as {
    tbl: number;
    row_id: string;
    state: string;
  }[];
  let purged: Stamp | undefined;
  for (const row of gone) {
    const stamp = greatestStamp(rowFromJson(row.state));
    purged ??= state.purged ?? stamp;
    if (compareStamps(stamp, purged) > 0) purged = stamp;
    statements.deleteRow.run(row.tbl, row.row_id);
  }
  if (purged !== undefined) statements.setMeta.run("purged", JSON.stringify(purged));
  return purged;
}
