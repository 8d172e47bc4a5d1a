import {
  type AppendOutcome,
  type AppendRequest,
  type Clock,
  err,
  type LogEntry,
  type LogPosition,
  type LogSnapshot,
  type LogStats,
  type LogStore,
  ok,
  type Random,
  type ReadLogOptions,
  type Result,
  type Scheduler,
  systemClock,
  systemRandom,
  systemScheduler,
} from "@lakesync/core";
import { KvAppender } from "./kv_append.ts";
import { settledHead } from "./kv_apply.ts";
import { KvClock } from "./kv_clock.ts";
import type { KvLogEntry } from "./kv_chunk.ts";
import type { KvDatabase, KvKey } from "./kv_database.ts";
import type { KvCount } from "./kv_derive.ts";
import { storageError } from "./kv_error.ts";
import { type KvContext, type KvHead, readHead, updateHead } from "./kv_head.ts";
import { KvKeys } from "./kv_keys.ts";
import { dropLease, takeLease } from "./kv_lease.ts";
import { KvLog } from "./kv_log.ts";
import { openEpoch } from "./kv_meta.ts";
import { type KvReadRange, lastSeqBefore, readKeyed } from "./kv_read.ts";
import { openKvSnapshot } from "./kv_snapshot.ts";
import { sweepKv } from "./kv_sweep.ts";
import { trimKvLog } from "./kv_trim.ts";
import { readValues, valueWrites } from "./kv_values.ts";
import { KvWatch } from "./kv_watch.ts";
import { hashText } from "./log_hash.ts";
import { closedError, trimmedError } from "./store_error.ts";

/** Options of {@linkcode kvLogStore}. */
export interface KvLogStoreOptions {
  /** The database: a `Deno.Kv`. Several stores, and other things, may lie in it. */
  kv: KvDatabase;
  /**
   * What all keys of this store begin with; one prefix is one store.
   *
   * @default {["lakesync", "default"]}
   */
  prefix?: KvKey;
  /**
   * Where time comes from: this instance's share in the store's clock.
   *
   * @default {systemClock}
   */
  clock?: Clock;
  /**
   * Waiting.
   *
   * @default {systemScheduler}
   */
  scheduler?: Scheduler;
  /**
   * Chance.
   *
   * @default {systemRandom}
   */
  random?: Random;
  /**
   * How often subscribers look for what other processes did, in ms. On Deno Deploy, where KV's own
   * watch sees all of them, a look a minute is enough.
   *
   * @default {250}
   */
  pollMs?: number;
  /**
   * Whether closing the store closes the database.
   *
   * @default {false}
   */
  closesKv?: boolean;
}

/**
 * Opens a log store in Deno KV. Any number of processes may have it open.
 *
 * @param options The database and the place in it.
 * @returns The store; `STORAGE_ERROR` where the database does not answer, `CORRUPT` where a newer
 * version of LakeSync has written it (it is left untouched).
 *
 * @example Open a store
 * ```ts
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { kvLogStore, openDenoKv } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const kv = unwrapOrThrow(await openDenoKv({ path: ":memory:" }));
 * const store = unwrapOrThrow(await kvLogStore({ kv, closesKv: true }));
 * assertEquals(unwrapOrThrow(await store.head()).seq, 0);
 * await store.close();
 * ```
 */
export async function kvLogStore(options: KvLogStoreOptions): Promise<Result<LogStore>> {
  const {
    kv,
    prefix = ["lakesync", "default"],
    clock = systemClock,
    scheduler = systemScheduler,
    random = systemRandom,
    pollMs = 250,
    closesKv = false,
  } = options;
  try {
    const context: KvContext = { kv, keys: new KvKeys(prefix), clock, scheduler, random };
    const epoch = await openEpoch(context);
    await sweepKv(context, clock.now());
    return ok(new KvLogStore(context, { epoch, pollMs, closesKv }));
  } catch (thrown) {
    return err(storageError(thrown));
  }
}

class KvLogStore implements LogStore {
  readonly epoch: string;
  readonly #context: KvContext;
  readonly #log: KvLog;
  readonly #clock: KvClock;
  readonly #appender: KvAppender;
  readonly #watch: KvWatch;
  readonly #closesKv: boolean;
  #closed = false;

  constructor(
    context: KvContext,
    options: { epoch: string; pollMs: number; closesKv: boolean },
  ) {
    this.epoch = options.epoch;
    this.#context = context;
    this.#log = new KvLog(context);
    this.#clock = new KvClock(context);
    this.#appender = new KvAppender(context, this.#log, this.#clock);
    this.#watch = new KvWatch(context, options.pollMs);
    this.#closesKv = options.closesKv;
  }

  async #guard<T>(body: () => Promise<T>): Promise<Result<T>> {
    if (this.#closed) return err(closedError());
    try {
      return ok(await body());
    } catch (thrown) {
      return err(storageError(thrown));
    }
  }

  head(): Promise<Result<LogPosition>> {
    return this.#guard(async () => {
      const { seq, hash } = await this.#head();
      return { seq, hash: hashText(hash) };
    });
  }

  async #head(): Promise<KvHead> {
    return (await readHead(this.#context)).head;
  }

  now(): Promise<Result<number>> {
    return this.#guard(() => this.#clock.now());
  }

  subscribe(listener: () => void): () => void {
    return this.#closed ? () => {} : this.#watch.subscribe(listener);
  }

  async append(request: AppendRequest): Promise<Result<AppendOutcome>> {
    if (this.#closed) return err(closedError());
    const outcome = await this.#appender.append(request);
    if (outcome.ok) this.#watch.notify();
    return outcome;
  }

  read(after: number, options: ReadLogOptions): Promise<Result<readonly LogEntry[]>> {
    return this.#guard(async () => {
      const { limit, maxChars = 8_388_608, through = Infinity, keys } = options;
      const head = await this.#head();
      if (after < head.trimmed.seq) throw trimmedError(after, head.trimmed.seq);
      const range = { after, through: Math.min(through, head.seq), head };
      const entries: LogEntry[] = [];
      let chars = 0;
      for await (const { entry } of this.#entries(keys, range)) {
        entries.push(entry);
        chars += entry.json.length;
        if (entries.length >= limit || chars >= maxChars) {
          // Entries follow on each other; what an index finds may lack those that were just trimmed.
          if (keys === undefined) return entries;
          break;
        }
      }
      // It ended: at the head, or where a trim has taken away what was still to come.
      const { trimmed } = await this.#head();
      if (after < trimmed.seq) throw trimmedError(after, trimmed.seq);
      return entries;
    });
  }

  async *#entries(
    keys: readonly string[] | undefined,
    range: KvReadRange,
  ): AsyncGenerator<KvLogEntry> {
    if (keys !== undefined) {
      return yield* readKeyed({ store: this.#context, log: this.#log }, keys, range);
    }
    for await (const entries of this.#log.read(range.after, range.through)) yield* entries;
  }

  hashAt(seq: number): Promise<Result<string | undefined>> {
    return this.#guard(async () => {
      const head = await this.#head();
      for (const known of [head.trimmed, head]) {
        if (seq === known.seq) return hashText(known.hash);
      }
      if (seq < head.trimmed.seq || seq > head.seq) return undefined;
      return (await this.#log.entryAt(seq))?.entry.hash;
    });
  }

  snapshot(): Promise<Result<LogSnapshot>> {
    return this.#guard(() =>
      openKvSnapshot({ context: this.#context, log: this.#log, clock: this.#clock })
    );
  }

  getValue(key: string): Promise<Result<string | undefined>> {
    return this.#guard(async () => (await readValues(this.#context, [key])).get(key)?.text);
  }

  setValue(key: string, value: string | null): Promise<Result<void>> {
    return this.#guard(async () => {
      const now = await this.#clock.now();
      await updateHead(this.#context, async () => {
        const former = await readValues(this.#context, [key]);
        const values = new Map([[key, value]]);
        return { head: {}, also: await valueWrites(this.#context, values, { former, now }) };
      });
      this.#watch.notify();
    });
  }

  acquireLease(name: string, options: { holder: string; ttlMs: number }): Promise<Result<boolean>> {
    return this.#guard(async () => {
      return await takeLease(this.#context, name, { ...options, now: await this.#clock.now() });
    });
  }

  releaseLease(name: string, options: { holder: string }): Promise<Result<void>> {
    return this.#guard(() => dropLease(this.#context, name, options.holder));
  }

  trim(options: { through: number }): Promise<Result<void>> {
    const parts = { context: this.#context, log: this.#log, clock: this.#clock };
    return this.#guard(() => trimKvLog(parts, options.through));
  }

  seqBefore(at: number): Promise<Result<number>> {
    return this.#guard(async () =>
      await lastSeqBefore(this.#log, { head: await this.#head(), at })
    );
  }

  stats(): Promise<Result<LogStats>> {
    return this.#guard(async () => {
      const { kv, keys } = this.#context;
      const { head } = await settledHead(this.#context, this.#log);
      const rows = new Map<string, number>();
      for await (const { key, value } of kv.list(keys.tables(), { batchSize: 100 })) {
        rows.set(key.at(-1) as string, (value as KvCount).rows);
      }
      return { head: head.seq, trimmed: head.trimmed.seq, rows, clients: head.pushers };
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.stop();
    await this.#appender.idle();
    try {
      await this.#clock.release();
    } catch {
      // Its stretch ends by itself.
    }
    if (this.#closesKv) this.#context.kv.close();
  }
}
