import type { Checkpoint } from "@lakesync/core";
import type { FirstSync } from "./status.ts";

/** The header in which a gateway that knows it says how many rows a checkpoint has, or about as many. */
export const ROWS_HEADER = "X-Checkpoint-Rows";

/** A checkpoint that knows how much of it has arrived. */
export interface MeteredCheckpoint extends Checkpoint {
  /** Bytes that came so far, unpacked; and all that will come, of bytes or of rows, where it is known. */
  readonly arrived: () => { bytes: number; allBytes?: number; allRows?: number };
}

/** How far a first sync is. */
export function firstSyncOf(checkpoint: Checkpoint | MeteredCheckpoint, rows: number): FirstSync {
  if (!("arrived" in checkpoint)) return { rows, bytes: 0, percent: undefined };
  const { bytes, allBytes, allRows } = checkpoint.arrived();
  // Rows first: what has come may still have to be written.
  const part = allRows !== undefined ? rows / allRows : allBytes && bytes / allBytes;
  const percent = part === undefined || !Number.isFinite(part)
    ? undefined
    // All of it is only there when it has been put into its place.
    : Math.min(99, Math.floor(part * 100));
  return { rows, bytes, percent };
}

/** What an answer says about the size of its body. */
export function sizeOf(headers: Headers): { allBytes?: number; allRows?: number } {
  const rows = count(headers.get(ROWS_HEADER));
  // The length of a packed body is that of what is on the wire.
  const bytes = headers.has("Content-Encoding") ? undefined : count(headers.get("Content-Length"));
  return {
    ...(bytes !== undefined && { allBytes: bytes }),
    ...(rows !== undefined && { allRows: rows }),
  };
}

function count(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
