import { LakeSyncError, toLakeSyncError } from "@lakesync/core";

/** What a closed store answers. */
export function closedError(): LakeSyncError {
  return new LakeSyncError("CLOSED", "The log store is closed: open it again");
}

/** What SQLite threw, as an error with a code. */
export function storageError(thrown: unknown): LakeSyncError {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const damaged = /malformed|not a database|corrupt/i.test(message);
  return toLakeSyncError(thrown, damaged ? "CORRUPT" : "STORAGE_ERROR");
}
