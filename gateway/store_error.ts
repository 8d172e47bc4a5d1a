import { LakeSyncError } from "@lakesync/core";

/** What every call of a closed store answers. */
export function closedError(): LakeSyncError {
  return new LakeSyncError("CLOSED", "The log store is closed: open it again");
}

/** What a read answers that begins before the log does. */
export function trimmedError(after: number, trimmed: number): LakeSyncError {
  return new LakeSyncError(
    "CHECKPOINT_REQUIRED",
    `Cannot read after seq ${after}: the log is trimmed up to ${trimmed}, take a checkpoint`,
    { details: { reason: "trimmed" } },
  );
}
