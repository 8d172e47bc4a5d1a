import type { KvChunk, KvLogEntry } from "./kv_chunk.ts";
import type { KvContext, KvHead } from "./kv_head.ts";
import type { KvLog } from "./kv_log.ts";

/** Which entries of the log are read. */
export interface KvReadRange {
  /** The seq before the first. */
  readonly after: number;
  /** The last seq. */
  readonly through: number;
  /** The head. */
  readonly head: KvHead;
}

/** So many index records are read at once for each key. */
const BATCH = 16;

/**
 * Entries that have one of some keys, each once, in order. Behind `applied` the index does not follow yet:
 * there the entries themselves tell.
 *
 * @param context The store and its log.
 * @param keys The keys.
 * @param range Where.
 */
export async function* readKeyed(
  context: { store: KvContext; log: KvLog },
  keys: readonly string[],
  range: KvReadRange,
): AsyncGenerator<KvLogEntry> {
  const { log } = context;
  const { after, through, head: { applied } } = range;
  let chunk: KvChunk | undefined;
  for await (const seq of keyedSeqs(context.store, keys, range)) {
    if (chunk === undefined || seq > chunk.last) chunk = await log.chunkAt(seq);
    const item = chunk?.entries[seq - chunk.last - 1 + chunk.entries.length];
    // It was trimmed while it was read.
    if (item === undefined) return;
    yield item;
  }
  const wanted = new Set(keys);
  for await (const items of log.read(Math.max(after, applied), through)) {
    for (const item of items) if (item.keys.some((key) => wanted.has(key))) yield item;
  }
}

/** The seqs up to `applied`, by the index, merged over the keys. */
async function* keyedSeqs(
  { kv, keys: names }: KvContext,
  keys: readonly string[],
  { after, through, head }: KvReadRange,
): AsyncGenerator<number> {
  const last = Math.min(through, head.applied);
  const runs = [...new Set(keys)].map((key) => seqsOf(key)[Symbol.asyncIterator]());
  const heads = await Promise.all(runs.map((run) => run.next()));
  let given = after;
  for (;;) {
    let least: number | undefined;
    heads.forEach((head, i) => {
      if (head.done === true) return;
      const held = least === undefined ? undefined : heads[least]!;
      if (held === undefined || held.done === true || head.value < held.value) least = i;
    });
    if (least === undefined) return;
    const next = heads[least]!.value as number;
    if (next > given) {
      given = next;
      yield next;
    }
    heads[least] = await runs[least]!.next();
  }

  async function* seqsOf(key: string): AsyncGenerator<number, undefined> {
    for await (const { value } of kv.list(names.indexFrom(key, after + 1), { batchSize: BATCH })) {
      for (const seq of value as number[]) {
        if (seq > last) return;
        if (seq > after) yield seq;
      }
    }
  }
}

/** The greatest seq appended before a time; the trim's edge where there is none. */
export async function lastSeqBefore(
  log: KvLog,
  { head, at }: { head: KvHead; at: number },
): Promise<number> {
  // `at` never falls from entry to entry, and is one for a chunk: its place is found by halving.
  let low = head.trimmed.seq;
  let high = head.seq;
  while (low < high) {
    const chunk = await log.chunkAt(Math.ceil((low + high) / 2));
    const first = chunk?.entries[0]?.entry;
    // Trimmed meanwhile: nothing that is left is older.
    if (chunk === undefined || first === undefined) return low;
    if (first.at < at) low = Math.min(high, chunk.last);
    else high = Math.max(low, first.seq - 1);
  }
  return low;
}
