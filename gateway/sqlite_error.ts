import { LakeSyncError, toLakeSyncError } from "@lakesync/core";

/** What SQLite threw, as an error with a code and the next step. */
export function storageError(thrown: unknown, path: string): LakeSyncError {
  if (thrown instanceof LakeSyncError) return thrown;
  const { message } = toLakeSyncError(thrown, "STORAGE_ERROR");
  const damaged = isDamage(message);
  return new LakeSyncError(
    damaged ? "CORRUPT" : "STORAGE_ERROR",
    damaged
      ? `The log "${path}" is damaged (${message}): stop the gateway and restore a backup`
      : `The log "${path}" failed (${message}): see that its disk has room and works`,
    { cause: thrown },
  );
}

function isDamage(message: string): boolean {
  return /malformed|not a database|corrupt/i.test(message);
}

/** Why a log cannot be opened, where what failed did not know that it was about a log. */
export function openingError(thrown: unknown, path: string): LakeSyncError {
  if (thrown instanceof LakeSyncError) return thrown;
  const { message } = toLakeSyncError(thrown, "STORAGE_ERROR");
  return new LakeSyncError(
    isDamage(message) ? "CORRUPT" : "STORAGE_ERROR",
    `Cannot open "${path}": ${message}; see that it can be read and written, or choose another data directory`,
    { cause: thrown },
  );
}
