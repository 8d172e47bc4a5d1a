import {
  type AppendOutcome,
  type AppendRequest,
  type AppendView,
  type Clock,
  compareStamps,
  type Delta,
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
  type RowWrite,
  type Stamp,
  systemClock,
  systemRandom,
  toLakeSyncError,
} from "@lakesync/core";
import { EMPTY_HASH, extendHash, hashText } from "./log_hash.ts";
import { greatestStamp } from "./row_stamp.ts";
import { closedError, trimmedError } from "./store_error.ts";
import { StoreClock } from "./store_clock.ts";
import { Subscribers } from "./subscribers.ts";
import { txLasts } from "./tx_last.ts";
import { rowKey } from "./working_rows.ts";

/** Options of {@linkcode memoryLogStore}. */
export interface MemoryLogStoreOptions {
  /**
   * Where time comes from.
   *
   * @default {systemClock}
   */
  clock?: Clock;
  /**
   * Where the epoch comes from.
   *
   * @default {systemRandom}
   */
  random?: Random;
}

interface StoredRow extends RowWrite {
  /** The seq of the row's last entry. */
  readonly seq: number;
}

interface Pusher {
  /** The least seq among the deltas of its last push. */
  lastPushFrom: number;
}

const CHUNK = 500;

/**
 * A log store in memory, for tests and simulations: nothing survives the process.
 *
 * @param options Its clock and chance.
 * @returns The store.
 *
 * @example A fresh store is empty
 * ```ts
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { memoryLogStore } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const store = memoryLogStore();
 * assertEquals(unwrapOrThrow(await store.head()), { seq: 0, hash: "0" });
 * ```
 */
export function memoryLogStore(options: MemoryLogStoreOptions = {}): LogStore {
  return new MemoryLogStore(options.clock ?? systemClock, options.random ?? systemRandom);
}

class MemoryLogStore implements LogStore {
  readonly epoch: string;
  readonly #clock: StoreClock;
  readonly #subscribers = new Subscribers();
  /** Entries above the trim: `entries[i]` has seq `trimmed.seq + 1 + i`. */
  #entries: LogEntry[] = [];
  #hash = EMPTY_HASH;
  #trimmed: LogPosition = { seq: 0, hash: hashText(EMPTY_HASH) };
  #purged: Stamp | undefined;
  #closed = false;
  readonly #rows = new Map<string, StoredRow>();
  readonly #visible = new Map<string, number>();
  readonly #seen = new Map<string, { seq: number; pusher: string }>();
  readonly #pushers = new Map<string, Pusher>();
  readonly #values = new Map<string, string>();
  /** The seqs of the entries that have a key, rising. */
  #keys = new Map<string, number[]>();
  readonly #leases = new Map<string, { holder: string; until: number }>();

  constructor(clock: Clock, random: Random) {
    this.#clock = new StoreClock(clock);
    this.epoch = random.uuid();
  }

  get #head(): LogPosition {
    return { seq: this.#trimmed.seq + this.#entries.length, hash: hashText(this.#hash) };
  }

  #guard<T>(body: () => T): Promise<Result<T>> {
    if (this.#closed) {
      return Promise.resolve(
        err(closedError()),
      );
    }
    try {
      return Promise.resolve(ok(body()));
    } catch (thrown) {
      return Promise.resolve(err(toLakeSyncError(thrown, "STORAGE_ERROR")));
    }
  }

  head(): Promise<Result<LogPosition>> {
    return this.#guard(() => this.#head);
  }

  now(): Promise<Result<number>> {
    return this.#guard(() => this.#clock.now());
  }

  subscribe(listener: () => void): () => void {
    return this.#subscribers.add(listener);
  }

  append(request: AppendRequest): Promise<Result<AppendOutcome>> {
    return this.#guard(() => this.#append(request));
  }

  #append(request: AppendRequest): AppendOutcome {
    const now = this.#clock.now();
    let from = Infinity;
    const view: AppendView = {
      head: this.#head,
      now,
      purged: this.#purged,
      duplicate: (delta) => {
        const seq = this.#seen.get(seenKey(delta))?.seq;
        if (seq !== undefined) from = Math.min(from, seq);
        return seq;
      },
      row: (table, rowId) => this.#rows.get(rowKey(table, rowId))?.state,
      value: (key) => this.#values.get(key),
    };
    const plan = request.plan(view);
    const first = plan.entries.length > 0 ? this.#head.seq + 1 : undefined;
    const lasts = txLasts(plan.entries, this.#head.seq + 1);
    plan.entries.forEach(({ delta, effect, keys }, i) => {
      this.#hash = extendHash(this.#hash, delta.deltaId);
      const seq = this.#head.seq + 1;
      this.#entries.push({
        seq,
        hash: hashText(this.#hash),
        at: now,
        txLast: lasts[i]!,
        clientId: delta.clientId,
        table: delta.table,
        rowId: delta.rowId,
        json: JSON.stringify(delta),
        effect,
      });
      this.#seen.set(seenKey(delta), { seq, pusher: request.clientId });
      if (effect.last) {
        const change = Number(effect.after === "alive") - Number(effect.before === "alive");
        this.#visible.set(delta.table, (this.#visible.get(delta.table) ?? 0) + change);
      }
      for (const key of keys) {
        const seqs = this.#keys.get(key);
        if (seqs === undefined) this.#keys.set(key, [seq]);
        else seqs.push(seq);
      }
    });
    const { seq } = this.#head;
    for (const row of plan.rows) this.#rows.set(rowKey(row.table, row.rowId), { ...row, seq });
    for (const [key, value] of plan.values ?? []) this.#set(key, value);
    if (first !== undefined || (plan.values?.size ?? 0) > 0) this.#subscribers.notify();
    const lastPushFrom = Math.min(from, first ?? Infinity);
    if (lastPushFrom !== Infinity) this.#pushers.set(request.clientId, { lastPushFrom });
    return { head: this.#head, first };
  }

  read(after: number, options: ReadLogOptions): Promise<Result<readonly LogEntry[]>> {
    return this.#guard(() => {
      if (after < this.#trimmed.seq) throw trimmedError(after, this.#trimmed.seq);
      const { limit, maxChars = 8_388_608, through = Infinity, keys } = options;
      const entries: LogEntry[] = [];
      let chars = 0;
      for (const entry of this.#after(after, keys)) {
        if (entry.seq > through) break;
        entries.push(entry);
        chars += entry.json.length;
        if (entries.length >= limit || chars >= maxChars) break;
      }
      return entries;
    });
  }

  *#after(after: number, keys: readonly string[] | undefined): Generator<LogEntry> {
    const trimmed = this.#trimmed.seq;
    if (keys === undefined) {
      for (let i = after - trimmed; i < this.#entries.length; i++) yield this.#entries[i]!;
      return;
    }
    const seqs = new Set(keys.flatMap((key) => this.#keys.get(key) ?? []));
    const rising = [...seqs].filter((seq) => seq > after).sort((a, b) => a - b);
    for (const seq of rising) yield this.#entries[seq - trimmed - 1]!;
  }

  hashAt(seq: number): Promise<Result<string | undefined>> {
    return this.#guard(() =>
      seq === this.#trimmed.seq
        ? this.#trimmed.hash
        : this.#entries[seq - this.#trimmed.seq - 1]?.hash
    );
  }

  snapshot(): Promise<Result<LogSnapshot>> {
    return this.#guard(() => {
      const rows = [...this.#rows.values()];
      return {
        position: this.#head,
        async *rows(tables?: readonly string[]) {
          const wanted = tables === undefined
            ? rows
            : rows.filter((row) => tables.includes(row.table));
          for (let i = 0; i < wanted.length; i += CHUNK) yield wanted.slice(i, i + CHUNK);
        },
        close: () => Promise.resolve(),
      };
    });
  }

  getValue(key: string): Promise<Result<string | undefined>> {
    return this.#guard(() => this.#values.get(key));
  }

  setValue(key: string, value: string | null): Promise<Result<void>> {
    return this.#guard(() => {
      this.#set(key, value);
      this.#subscribers.notify();
    });
  }

  #set(key: string, value: string | null): void {
    if (value === null) this.#values.delete(key);
    else this.#values.set(key, value);
  }

  acquireLease(name: string, options: { holder: string; ttlMs: number }): Promise<Result<boolean>> {
    return this.#guard(() => {
      const now = this.#clock.now();
      const lease = this.#leases.get(name);
      if (lease !== undefined && lease.holder !== options.holder && lease.until > now) return false;
      this.#leases.set(name, { holder: options.holder, until: now + options.ttlMs });
      return true;
    });
  }

  releaseLease(name: string, options: { holder: string }): Promise<Result<void>> {
    return this.#guard(() => {
      if (this.#leases.get(name)?.holder === options.holder) this.#leases.delete(name);
    });
  }

  trim(options: { through: number }): Promise<Result<void>> {
    return this.#guard(() => {
      let count = Math.min(options.through - this.#trimmed.seq, this.#entries.length);
      while (count > 0 && !endsTransaction(this.#entries[count - 1]!)) count--;
      if (count <= 0) return;
      const { seq, hash } = this.#entries[count - 1]!;
      this.#entries = this.#entries.slice(count);
      this.#trimmed = { seq, hash };
      for (const [key, seqs] of this.#keys) {
        const left = seqs.filter((keyed) => keyed > seq);
        if (left.length > 0) this.#keys.set(key, left);
        else this.#keys.delete(key);
      }
      for (const [key, { state, seq: rowSeq }] of this.#rows) {
        if (state.life?.alive === true || rowSeq > seq) continue;
        const stamp = greatestStamp(state);
        if (this.#purged === undefined || compareStamps(stamp, this.#purged) > 0) {
          this.#purged = stamp;
        }
        this.#rows.delete(key);
      }
      for (const [key, { seq: seenSeq, pusher }] of this.#seen) {
        const keptFrom = this.#pushers.get(pusher)?.lastPushFrom ?? Infinity;
        if (seenSeq <= seq && seenSeq < keptFrom) this.#seen.delete(key);
      }
    });
  }

  seqBefore(at: number): Promise<Result<number>> {
    return this.#guard(() => {
      const next = this.#entries.findIndex((entry) => entry.at >= at);
      return next === -1 ? this.#head.seq : this.#trimmed.seq + next;
    });
  }

  stats(): Promise<Result<LogStats>> {
    return this.#guard(() => ({
      head: this.#head.seq,
      trimmed: this.#trimmed.seq,
      rows: new Map(this.#visible),
      clients: this.#pushers.size,
    }));
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }
}

function endsTransaction(entry: LogEntry): boolean {
  return entry.seq === entry.txLast;
}

function seenKey(delta: Delta): string {
  return `${delta.hlc}\0${delta.clientId}\0${delta.deltaId}`;
}
