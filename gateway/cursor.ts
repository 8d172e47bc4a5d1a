import {
  err,
  LakeSyncError,
  type LogPosition,
  type LogStore,
  ok,
  type Result,
} from "@lakesync/core";

/** Where a caller stands, and what it was allowed and asked to see when it got there. */
export interface Cursor {
  /** The epoch of the store that it is of. */
  readonly epoch: string;
  /** The position. */
  readonly position: LogPosition;
  /** Digest of what the caller may see and asked for. */
  readonly digest: string;
}

/** Why a cursor cannot be served. Clients go by it: see docs/protocol.md. */
export type CursorFault = "foreign" | "epoch" | "ahead" | "trimmed" | "hash" | "digest" | "moved";

const FORM = /^1\.([0-9a-f-]{36})\.(0|[1-9][0-9]{0,15})\.([0-9a-z]{1,11})\.([0-9a-f]{32})$/;

/**
 * The text of a cursor: URL-safe, and nobody's business but the gateway's.
 *
 * @param cursor The cursor.
 * @returns Its text.
 */
export function formatCursor(cursor: Cursor): string {
  const { epoch, position, digest } = cursor;
  return `1.${epoch}.${position.seq}.${position.hash}.${digest}`;
}

/**
 * Finds where a caller stands.
 *
 * @param text The cursor as it was sent; `""` is the very beginning.
 * @param context The store, and the digest of what this caller may see now.
 * @returns The position, or `CHECKPOINT_REQUIRED` with `details.reason`.
 */
export async function resolveCursor(
  text: string,
  context: { store: LogStore; digest: string },
): Promise<Result<LogPosition>> {
  const { store, digest } = context;
  if (text === "") {
    // The beginning is served only while the log still has it.
    const start = await store.hashAt(0);
    if (!start.ok) return start;
    return start.value === undefined ? cursorFault("trimmed") : ok({ seq: 0, hash: start.value });
  }
  const parts = FORM.exec(text);
  if (parts === null) return cursorFault("foreign");
  const [, epoch, seqText, hash, theirDigest] = parts;
  if (epoch !== store.epoch) return cursorFault("epoch");
  const seq = Number(seqText);
  const head = await store.head();
  if (!head.ok) return head;
  if (seq > head.value.seq) return cursorFault("ahead");
  const stored = await store.hashAt(seq);
  if (!stored.ok) return stored;
  if (stored.value === undefined) return cursorFault("trimmed");
  if (stored.value !== hash) return cursorFault("hash");
  if (theirDigest !== digest) return cursorFault("digest");
  return ok({ seq, hash: stored.value });
}

const REASONS: Readonly<Record<CursorFault, string>> = {
  foreign: "it is not one of this gateway's",
  epoch: "the gateway's store was made anew",
  ahead: "the gateway's store is behind it",
  trimmed: "the log no longer reaches back to it",
  hash: "the gateway's store has another history",
  moved: "a change of membership brings or takes away too many rows for a page",
  digest: "what the caller may see or asks for has changed",
};

/**
 * The refusal of a cursor.
 *
 * @param reason Why it cannot be served.
 * @returns `CHECKPOINT_REQUIRED` with `details.reason`.
 */
export function cursorFault(reason: CursorFault): Result<never> {
  return err(
    new LakeSyncError(
      "CHECKPOINT_REQUIRED",
      `Cannot go on from this cursor: ${REASONS[reason]}, take a checkpoint`,
      { details: { reason } },
    ),
  );
}
