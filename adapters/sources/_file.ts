import { createReadStream } from "node:fs";
import { LakeSyncError } from "@lakesync/core";

/** A file's bytes in chunks. Throws `NOT_FOUND` or `STORAGE_ERROR`. */
export async function* readFileChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of createReadStream(path)) yield chunk as Uint8Array;
  } catch (cause) {
    const missing = (cause as { code?: unknown }).code === "ENOENT";
    throw missing
      ? new LakeSyncError("NOT_FOUND", `Cannot read "${path}": there is no such file`, { cause })
      : new LakeSyncError(
        "STORAGE_ERROR",
        `Cannot read "${path}": ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
  }
}

/** A damaged or foreign file. */
export function corrupt(path: string, options: { reason: string; cause?: unknown }): LakeSyncError {
  return new LakeSyncError("CORRUPT", `Cannot read "${path}": ${options.reason}`, {
    cause: options.cause,
  });
}
