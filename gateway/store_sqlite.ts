import type { DatabaseSync } from "node:sqlite";
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
  systemClock,
  systemRandom,
} from "@lakesync/core";
import { hashText } from "./log_hash.ts";
import { type AppendContext, GroupAppend } from "./sqlite_append.ts";
import { SqliteClients } from "./sqlite_clients.ts";
import { SqliteClock } from "./sqlite_clock.ts";
import { openingError, storageError } from "./sqlite_error.ts";
import { type LogFile, openLogFile } from "./sqlite_file.ts";
import { SqliteKeys } from "./sqlite_keys.ts";
import { readEntries } from "./sqlite_read.ts";
import { RecentEntries } from "./sqlite_recent.ts";
import { recover } from "./sqlite_recover.ts";
import { SqliteRows } from "./sqlite_rows.ts";
import { openSnapshot } from "./sqlite_snapshot.ts";
import { readMeta, readState, type SqliteState } from "./sqlite_state.ts";
import { logInserts, prepareStatements, type Statements } from "./sqlite_statements.ts";
import { lastTxEnd, purgeStep, trimStep } from "./sqlite_trim.ts";
import { SqliteValues } from "./sqlite_values.ts";
import { closedError, trimmedError } from "./store_error.ts";
import { Subscribers } from "./subscribers.ts";
import { nextTurn } from "./turn.ts";

/** Options of {@linkcode openSqliteLogStore}. */
export interface SqliteLogStoreOptions {
  /** The file; made where there is none. */
  path: string;
  /**
   * Where time comes from.
   *
   * @default {systemClock}
   */
  clock?: Clock;
  /**
   * Where a new store's epoch comes from.
   *
   * @default {systemRandom}
   */
  random?: Random;
  /**
   * The most pages of 8 KiB that the file may have, or undefined for as many as the disk holds.
   * Beyond it an append fails with `STORAGE_ERROR`.
   *
   * @default {undefined}
   */
  maxPages?: number;
}

/**
 * Opens a log store in one SQLite file (WAL, `synchronous = FULL`). Concurrent appends share one
 * commit. One process at a time can have it open: it is the store's one instance.
 *
 * @param options The file.
 * @returns The store; `CORRUPT` where the file is damaged or something else (it is left untouched),
 * `CONFLICT` where another process has it open, `STORAGE_ERROR` where it cannot be read or made.
 *
 * @example Open a store
 * ```ts
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { openSqliteLogStore } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 * import { mkdtemp, rm } from "node:fs/promises";
 *
 * const directory = await mkdtemp("/tmp/log-");
 * const store = unwrapOrThrow(await openSqliteLogStore({ path: `${directory}/log.db` }));
 * assertEquals(unwrapOrThrow(await store.head()).seq, 0);
 * await store.close();
 * await rm(directory, { recursive: true });
 * ```
 */
export function openSqliteLogStore(options: SqliteLogStoreOptions): Promise<Result<LogStore>> {
  const { path, clock = systemClock, random = systemRandom, maxPages } = options;
  let file: LogFile | undefined;
  try {
    file = openLogFile(path, random.uuid());
    if (maxPages !== undefined) file.db.exec(`PRAGMA max_page_count = ${Math.floor(maxPages)}`);
    return Promise.resolve(ok(new SqliteLogStore(path, file, clock)));
  } catch (thrown) {
    file?.db.close();
    file?.lock.close();
    return Promise.resolve(err(openingError(thrown, path)));
  }
}

interface Waiting {
  readonly request: AppendRequest;
  readonly resolve: (result: Result<AppendOutcome>) => void;
}

/** So many deltas share one commit at the most. */
const GROUP_DELTAS = 20_000;

class SqliteLogStore implements LogStore {
  readonly epoch: string;
  readonly #path: string;
  readonly #file: LogFile;
  readonly #db: DatabaseSync;
  readonly #state: SqliteState;
  readonly #statements: Statements;
  readonly #clock: SqliteClock;
  readonly #rows: SqliteRows;
  readonly #keys: SqliteKeys;
  readonly #values: SqliteValues;
  readonly #recent = new RecentEntries();
  readonly #appends: AppendContext;
  readonly #subscribers = new Subscribers();
  readonly #snapshots = new Set<() => void>();
  #waiting: Waiting[] = [];
  #scheduled = false;
  #closed = false;

  constructor(path: string, file: LogFile, clock: Clock) {
    this.#path = path;
    this.#file = file;
    this.#db = file.db;
    const meta = readMeta(this.#db);
    const folded = Number(meta.get("folded"));
    this.epoch = meta.get("epoch")!;
    this.#state = readState(this.#db, meta);
    this.#statements = prepareStatements(this.#db);
    this.#clock = new SqliteClock(clock, meta.get("clock"), this.#statements);
    this.#keys = new SqliteKeys(this.#db);
    this.#values = new SqliteValues(this.#statements);
    this.#rows = new SqliteRows(this.#db, folded);
    this.#appends = {
      state: this.#state,
      statements: this.#statements,
      inserts: logInserts(this.#db),
      rows: this.#rows,
      clients: new SqliteClients(this.#statements),
      keys: this.#keys,
      values: this.#values,
      recent: this.#recent,
    };
    recover({ path, state: this.#state, rows: this.#rows, statements: this.#statements }, folded);
  }

  #guard<T>(body: () => T): Promise<Result<T>> {
    if (this.#closed) return Promise.resolve(err(closedError()));
    try {
      return Promise.resolve(ok(body()));
    } catch (thrown) {
      return Promise.resolve(err(storageError(thrown, this.#path)));
    }
  }

  /** Runs `body` in a transaction and its result once that is committed. */
  #commit(body: () => () => void): void {
    this.#statements.begin.run();
    let publish: () => void;
    try {
      publish = body();
      this.#statements.commit.run();
    } catch (thrown) {
      this.#values.forget();
      try {
        this.#db.exec("ROLLBACK");
      } catch {
        // A full disk has rolled back by itself already; the first error is the one to report.
      }
      throw thrown;
    }
    publish();
  }

  head(): Promise<Result<LogPosition>> {
    return this.#guard(() => ({ seq: this.#state.seq, hash: hashText(this.#state.hash) }));
  }

  now(): Promise<Result<number>> {
    return this.#guard(() => this.#clock.now());
  }

  subscribe(listener: () => void): () => void {
    return this.#subscribers.add(listener);
  }

  append(request: AppendRequest): Promise<Result<AppendOutcome>> {
    if (this.#closed) return Promise.resolve(err(closedError()));
    return new Promise((resolve) => {
      this.#waiting.push({ request, resolve });
      if (this.#scheduled) return;
      this.#scheduled = true;
      // One turn of the event loop later: pushes that arrive together share one sync to disk.
      nextTurn(() => this.#appendWaiting());
    });
  }

  #appendWaiting(): void {
    this.#scheduled = false;
    while (this.#waiting.length > 0) {
      let deltas = 0;
      let count = 0;
      while (count < this.#waiting.length && (count === 0 || deltas < GROUP_DELTAS)) {
        deltas += this.#waiting[count++]!.request.rows.length;
      }
      const group = this.#waiting.splice(0, count);
      const results: Result<AppendOutcome>[] = [];
      try {
        const now = this.#clock.now();
        let changed = false;
        this.#commit(() => {
          const appends = new GroupAppend(this.#appends, now);
          for (const { request } of group) results.push(appends.append(request));
          const folded = this.#rows.foldStep(appends.entries);
          changed = appends.changes;
          return () => {
            appends.publish();
            folded();
          };
        });
        if (changed) this.#subscribers.notify();
        group.forEach(({ resolve }, i) => resolve(results[i]!));
      } catch (thrown) {
        const error = storageError(thrown, this.#path);
        for (const { resolve } of group) resolve(err(error));
      }
    }
  }

  read(after: number, options: ReadLogOptions): Promise<Result<readonly LogEntry[]>> {
    return this.#guard(() => {
      if (after < this.#state.trimmed.seq) throw trimmedError(after, this.#state.trimmed.seq);
      const recent = this.#recent.read(after, options);
      if (recent !== undefined) return recent;
      const context = {
        statements: this.#statements,
        keys: this.#keys,
        tables: this.#state.tables,
      };
      return readEntries(context, after, options);
    });
  }

  hashAt(seq: number): Promise<Result<string | undefined>> {
    return this.#guard(() => {
      const { trimmed } = this.#state;
      if (seq === trimmed.seq) return trimmed.hash;
      if (seq === this.#state.seq) return hashText(this.#state.hash);
      const recent = seq < trimmed.seq ? undefined : this.#recent.at(seq);
      if (recent !== undefined) return recent.hash;
      const entry = this.#statements.entry.get(seq) as { hash: number } | undefined;
      return entry === undefined ? undefined : hashText(entry.hash);
    });
  }

  snapshot(): Promise<Result<LogSnapshot>> {
    return this.#guard(() =>
      openSnapshot({
        path: this.#path,
        position: { seq: this.#state.seq, hash: hashText(this.#state.hash) },
        dirty: this.#rows.dirty(),
        tables: this.#state.tables,
        open: this.#snapshots,
      })
    );
  }

  getValue(key: string): Promise<Result<string | undefined>> {
    return this.#guard(() => this.#values.get(key));
  }

  setValue(key: string, value: string | null): Promise<Result<void>> {
    return this.#guard(() => {
      this.#values.set(key, value);
      this.#subscribers.notify();
    });
  }

  acquireLease(name: string, options: { holder: string; ttlMs: number }): Promise<Result<boolean>> {
    return this.#guard(() => {
      const now = this.#clock.now();
      const until = now + options.ttlMs;
      return this.#statements.takeLease.get(name, options.holder, until, now) !== undefined;
    });
  }

  releaseLease(name: string, options: { holder: string }): Promise<Result<void>> {
    return this.#guard(() => {
      this.#statements.dropLease.run(name, options.holder);
    });
  }

  async trim(options: { through: number }): Promise<Result<void>> {
    const last = await this.#guard(() => {
      const last = lastTxEnd(this.#statements, options.through);
      if (last !== undefined) this.#commit(() => this.#rows.foldAll(this.#state.seq));
      return last;
    });
    if (!last.ok) return last;
    if (last.value === undefined) return ok(undefined);
    const trimmed = await this.#inTurns(() => this.#trimStep(last.value!));
    return trimmed.ok ? await this.#inTurns(() => this.#purgeStep()) : trimmed;
  }

  /** Takes steps for as long as one says that there is more to do; what waits comes between them. */
  async #inTurns(step: () => boolean): Promise<Result<void>> {
    for (;;) {
      const more = await this.#guard(step);
      if (!more.ok) return more;
      if (!more.value) return ok(undefined);
      await new Promise<void>(nextTurn);
    }
  }

  #trimStep(last: number): boolean {
    if (this.#state.trimmed.seq >= last) return false;
    this.#commit(() => {
      const trimmed = trimStep(this.#statements, { trimmed: this.#state.trimmed.seq, last });
      return () => {
        this.#state.trimmed = trimmed;
      };
    });
    return this.#state.trimmed.seq < last;
  }

  #purgeStep(): boolean {
    let more = false;
    this.#commit(() => {
      // A row that has changed since is not what the file says it is.
      const folded = this.#rows.foldAll(this.#state.seq);
      const { purged } = this.#state;
      const found = purgeStep(this.#statements, { trimmed: this.#state.trimmed.seq, purged });
      more = found !== undefined;
      return () => {
        folded();
        this.#state.purged = found ?? purged;
      };
    });
    return more;
  }

  seqBefore(at: number): Promise<Result<number>> {
    return this.#guard(() => {
      // `at` never falls from entry to entry, so the place is found by halving.
      let low = this.#state.trimmed.seq;
      let high = this.#state.seq;
      while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        const entry = this.#statements.entry.get(middle) as { at: number };
        if (entry.at < at) low = middle;
        else high = middle - 1;
      }
      return low;
    });
  }

  stats(): Promise<Result<LogStats>> {
    return this.#guard(() => {
      const { count } = this.#statements.pushers.get() as { count: number };
      return {
        head: this.#state.seq,
        trimmed: this.#state.trimmed.seq,
        rows: new Map(
          [...this.#state.tables].map(([name, no]) => [name, this.#state.visible.get(no) ?? 0]),
        ),
        clients: count,
      };
    });
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#appendWaiting();
    this.#closed = true;
    for (const close of [...this.#snapshots]) close();
    try {
      this.#clock.close();
      this.#commit(() => this.#rows.foldAll(this.#state.seq));
    } catch {
      // The rows are replayed from the log when it is opened again.
    }
    this.#db.close();
    this.#file.lock.close();
    return Promise.resolve();
  }
}
