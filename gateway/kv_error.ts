import { type LakeSyncError, toLakeSyncError } from "@lakesync/core";

/** What a failure of Deno KV is reported as. */
export function storageError(thrown: unknown): LakeSyncError {
  return toLakeSyncError(thrown, "STORAGE_ERROR");
}
