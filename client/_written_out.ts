import { type Delta, type DeltaContent, deltaId, LakeSyncError } from "@lakesync/core";
import { utf8Bytes } from "./_own.ts";
import { MAX_PUSH_BYTES, MAX_PUSH_DELTAS } from "./_push_limits.ts";
import { rememberDelta } from "./_recent_deltas.ts";

/** A delta with its JSON. */
export interface WrittenDelta {
  readonly delta: Delta;
  readonly json: string;
  /** Of the JSON, in UTF-8. */
  readonly bytes: number;
}

/** How deltas are written out. */
export interface WrittenOutOptions {
  /** Whether they travel as one transaction, which must fit into a push. */
  readonly grouped: boolean;
  /** The transaction that they are of, where they are. */
  readonly txId: string | undefined;
}

/** Gives a session's deltas their ids. Throws where a transaction is too large. */
export function writtenOut(
  contents: readonly DeltaContent[],
  { grouped, txId }: WrittenOutOptions,
): { own: readonly WrittenDelta[]; bytes: number } {
  let bytes = 0;
  const own = contents.map((content): WrittenDelta => {
    const delta: Delta = {
      ...content,
      deltaId: deltaId(content),
      ...(txId !== undefined && { txId }),
    };
    const json = JSON.stringify(delta);
    rememberDelta(delta, json);
    const length = utf8Bytes(json);
    // With the comma between two of them.
    bytes += length + 1;
    return { delta, json, bytes: length };
  });
  if (grouped && (own.length > MAX_PUSH_DELTAS || bytes > MAX_PUSH_BYTES)) {
    throw new LakeSyncError(
      "PAYLOAD_TOO_LARGE",
      `Cannot commit a transaction of ${own.length} changes and ${bytes} bytes: ` +
        `at most ${MAX_PUSH_DELTAS} and ${MAX_PUSH_BYTES} fit into one push, ` +
        "split it, or use client.import for bulk data",
    );
  }
  return { own, bytes };
}
