import { LakeSyncError, toLakeSyncError } from "@lakesync/core";

/** What SQLite threw, as an error with a code. */
export function storageError(thrown: unknown): LakeSyncError {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const damaged = /malformed|not a database|corrupt/i.test(message);
  return toLakeSyncError(thrown, damaged ? "CORRUPT" : "STORAGE_ERROR");
}

/** Why a log cannot be opened, where what failed did not know that it was about a log. */
export function openingError(thrown: unknown, path: string): LakeSyncError {
  if (thrown instanceof LakeSyncError) return thrown;
  const { code, message } = storageError(thrown);
  return new LakeSyncError(
    code,
    `Cannot open "${path}": ${message}; see that it can be read and written, or choose another data directory`,
    { cause: thrown },
  );
}
