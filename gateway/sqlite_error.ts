import { type LakeSyncError, toLakeSyncError } from "@lakesync/core";

/** What SQLite threw, as an error with a code. */
export function storageError(thrown: unknown): LakeSyncError {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const damaged = /malformed|not a database|corrupt/i.test(message);
  return toLakeSyncError(thrown, damaged ? "CORRUPT" : "STORAGE_ERROR");
}
