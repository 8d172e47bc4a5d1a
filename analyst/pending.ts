import type { Delta, FlushEntry, LogStore, Result, TableSchema, Watermark } from "@lakesync/core";
import { err, LakeSyncError, ok } from "@lakesync/core";

/** The deltas that a gateway has accepted and that may not be in the lake yet. */
export interface PendingDeltas {
  /** The epoch of the log that they are in. A lake table of another epoch has none of them. */
  readonly epoch: string;
  /** The schemas of today, also of tables that the lake does not have yet. */
  schemas(): Promise<Result<readonly TableSchema[]>>;
  /**
   * The entries of these tables, each table's above the seq given for it, in bounded chunks and in
   * the order of the log. It may give more (other tables, lower seqs), which is left aside, and ends
   * at a head that it fixes when it starts. After a failure it ends.
   */
  read(
    after: ReadonlyMap<string, number>,
    options?: { signal?: AbortSignal },
  ): AsyncIterable<Result<readonly FlushEntry[]>>;
}

/** What a gateway notes when a flush to the lake has ended. */
export interface FlushedUpTo {
  /** The lake has everything up to this seq. */
  readonly seq: number;
  /** The watermark that each of its tables had then. A table without news keeps an older one. */
  readonly marks: ReadonlyMap<string, Watermark>;
}

/** Options of {@linkcode pendingFromLog}. */
export interface PendingFromLogOptions {
  /** The gateway's schemas of today. */
  readonly schemas: () => Promise<Result<readonly TableSchema[]>>;
  /**
   * How far the lake was when it was last flushed to: `gateway.flushedUpTo(name)`. It spares reading
   * the log from the watermark of a table that had no news for long, which the log may not reach
   * back to.
   *
   * @default {undefined} only the tables' watermarks count
   */
  readonly flushed?: () => Promise<Result<FlushedUpTo>>;
}

const CHUNK_ENTRIES = 4096;

/**
 * The pending deltas of a gateway whose log is at hand.
 *
 * @param store The gateway's log. It is only read.
 * @param options Where the schemas come from.
 * @returns The deltas above any seq, up to the head at the time of reading. What is trimmed answers
 * `CHECKPOINT_REQUIRED`: the destination is then further behind than the log reaches.
 *
 * @example Nothing pending in an empty log
 * ```ts
 * import { pendingFromLog } from "@lakesync/analyst";
 * import { type LogStore, ok } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * async function pendingCount(store: LogStore): Promise<number> {
 *   const pending = pendingFromLog(store, { schemas: () => Promise.resolve(ok([])) });
 *   let count = 0;
 *   for await (const chunk of pending.read(new Map([["todos", 0]]))) {
 *     if (chunk.ok) count += chunk.value.length;
 *   }
 *   return count;
 * }
 *
 * const empty = { epoch: "e", head: () => Promise.resolve(ok({ seq: 0, hash: "0" })) };
 * assertEquals(await pendingCount(empty as LogStore), 0);
 * ```
 */
export function pendingFromLog(store: LogStore, options: PendingFromLogOptions): PendingDeltas {
  return {
    epoch: store.epoch,
    schemas: options.schemas,
    async *read(after, { signal } = {}) {
      const flushed = await options.flushed?.();
      if (flushed?.ok === false) return yield flushed;
      const starts = flushed === undefined
        ? after
        : startsOf(after, { epoch: store.epoch, flushed: flushed.value });
      yield* readLog(store, starts, signal);
    },
  };
}

/**
 * A table that still is as the last flush left it has everything that was flushed then, though its
 * watermark is older. Of any other only its own watermark counts.
 */
function startsOf(
  after: ReadonlyMap<string, number>,
  { epoch, flushed }: { epoch: string; flushed: FlushedUpTo },
): ReadonlyMap<string, number> {
  return new Map(
    [...after].map(([table, seq]) => {
      const mark = flushed.marks.get(table);
      const left = seq === (mark?.epoch === epoch ? mark.seq : 0);
      return [table, left ? Math.max(seq, flushed.seq) : seq];
    }),
  );
}

async function* readLog(
  store: LogStore,
  after: ReadonlyMap<string, number>,
  signal: AbortSignal | undefined,
): AsyncIterable<Result<readonly FlushEntry[]>> {
  const head = await store.head();
  if (!head.ok) return yield head;
  const through = head.value.seq;
  let at = Math.min(through, ...after.values());
  while (at < through) {
    if (signal?.aborted === true) {
      return yield err(new LakeSyncError("ABORTED", "Reading the log was stopped by its signal"));
    }
    const entries = await store.read(at, { limit: CHUNK_ENTRIES, through });
    if (!entries.ok) return yield entries;
    const last = entries.value.at(-1);
    if (last === undefined) {
      return yield err(
        new LakeSyncError("CORRUPT", `Cannot read the log after ${at}: it ends before its head`),
      );
    }
    at = last.seq;
    yield ok(
      entries.value
        .filter(({ table, seq }) => seq > (after.get(table) ?? Infinity))
        .map(({ seq, at, json }): FlushEntry => ({ seq, at, delta: JSON.parse(json) as Delta })),
    );
  }
}
