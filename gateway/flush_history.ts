import {
  type Destination,
  err,
  LakeSyncError,
  type LogStore,
  ok,
  type Result,
  type Watermark,
} from "@lakesync/core";

/**
 * Whether a destination's table was written from this log. A log that was restored from a backup has
 * the epoch of the one that it takes the place of, and in time as many entries; but not the same ones,
 * which the running hash tells.
 *
 * @param context The log and the destination.
 * @param at The table and its watermark, which is of the log's epoch.
 * @returns Nothing; `CONFLICT` where the table has what is not in the log.
 */
export async function isOfThisLog(
  { store, destination }: { store: LogStore; destination: Destination },
  { table, mark }: { table: string; mark: Watermark },
): Promise<Result<void>> {
  const hash = await store.hashAt(mark.seq);
  if (!hash.ok) return hash;
  if (hash.value === undefined) {
    // Trimmed, or beyond the log: another flusher may have gone on meanwhile, but not so far.
    const head = await store.head();
    if (!head.ok) return head;
    const { seq } = head.value;
    if (mark.seq <= seq) return ok(undefined);
    return err(restored(destination, { table, mark, log: `ends at seq ${seq}` }));
  }
  // A table that was written before there was a hash is taken at its word.
  if (mark.hash === undefined || mark.hash === hash.value) return ok(undefined);
  return err(restored(destination, { table, mark, log: "has other entries up to there" }));
}

function restored(
  destination: Destination,
  { table, mark, log }: { table: string; mark: Watermark; log: string },
): LakeSyncError {
  return new LakeSyncError(
    "CONFLICT",
    `Table "${table}" of destination "${destination.name}" has everything up to seq ${mark.seq}, and the log ${log}: it was restored from an older backup; make the log anew from the lake, or drop what the destination has and the next flush rebuilds it`,
    { details: { table, watermark: mark.seq } },
  );
}
