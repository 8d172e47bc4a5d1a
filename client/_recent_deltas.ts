import type { Delta } from "@lakesync/core";

/** How many deltas are remembered, at most twice that; and how long their JSON may be. */
const GENERATION = 4_000;
const MAX_TEXT = 2_000;

/** The newest own deltas by id. An id is the hash of a delta's content: what it stands for never changes. */
let recent: Map<string, Delta> = new Map();
let older: Map<string, Delta> = new Map();

/** Remembers a delta that will soon come back. It is not changed any more. */
export function rememberDelta(delta: Delta, text: string): void {
  if (text.length > MAX_TEXT) return;
  if (recent.size >= GENERATION) {
    older = recent;
    recent = new Map();
  }
  recent.set(delta.deltaId, delta);
}

const KEY = '"deltaId":"';

/** What a delta's JSON in the database says. Its `txId` may be missing. */
export function recallDelta(text: string): Delta {
  // The last one is the delta's own: before it come the values, after it at most `txId`.
  const start = text.lastIndexOf(KEY) + KEY.length;
  const id = text.slice(start, start + 64);
  return recent.get(id) ?? older.get(id) ?? JSON.parse(text) as Delta;
}
