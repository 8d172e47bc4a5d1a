import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import {
  type AppendOutcome,
  type AppendPlan,
  type AppendRequest,
  type AppendView,
  type Clock,
  cloneRow,
  compareHlc,
  type Delta,
  emptyRow,
  err,
  LakeSyncError,
  type LogEntry,
  type LogPosition,
  type LogSnapshot,
  type LogStats,
  type LogStore,
  mergeDelta,
  ok,
  type Random,
  type ReadLogOptions,
  type Result,
  type Stamp,
  systemClock,
  systemRandom,
  toLakeSyncError,
} from "@lakesync/core";
import { EMPTY_HASH, extendHash, hashText } from "./log_hash.ts";
import { SqliteClients, type StagedClients } from "./sqlite_clients.ts";
import { packEffect } from "./sqlite_effect.ts";
import { type LogRow, storedHlc, toEntry } from "./sqlite_entry.ts";
import { openingError, storageError } from "./sqlite_error.ts";
import { type LogFile, openLogFile } from "./sqlite_file.ts";
import { type DirtyRow, rowKeyOf, SqliteRows } from "./sqlite_rows.ts";
import { openSnapshot } from "./sqlite_snapshot.ts";
import {
  INSERT_ROWS,
  LOG_COLUMNS,
  prepareStatements,
  type Statements,
} from "./sqlite_statements.ts";
import { storedText } from "./sqlite_text.ts";
import { closedError, trimmedError } from "./store_error.ts";
import { lastTxEnd, purgeStep, trimStep } from "./sqlite_trim.ts";
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
 * commit. One process at a time can have it open.
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

/** What a commit changes in memory once it has succeeded. */
interface Staged {
  seq: number;
  hash: number;
  at: number;
  readonly rows: Map<string, DirtyRow>;
  readonly visible: Map<number, number>;
  readonly clients: StagedClients;
  readonly tables: Map<string, number>;
}

/** So many deltas share one commit at the most. */
const GROUP_DELTAS = 20_000;
/** So many replayed rows are handed on together. */
const REPLAY_ROWS = 500;

class SqliteLogStore implements LogStore {
  readonly epoch: string;
  readonly #path: string;
  readonly #file: LogFile;
  readonly #db: DatabaseSync;
  readonly #clock: Clock;
  readonly #rows: SqliteRows;
  readonly #tables = new Map<string, number>();
  readonly #visible = new Map<number, number>();
  readonly #clients: SqliteClients;
  readonly #snapshots = new Set<() => void>();
  readonly #statements: Statements;
  #seq = 0;
  #hash = EMPTY_HASH;
  #at = 0;
  #trimmed: LogPosition = { seq: 0, hash: hashText(EMPTY_HASH) };
  #purged: Stamp | undefined;
  #waiting: Waiting[] = [];
  #scheduled = false;
  #closed = false;

  constructor(path: string, file: LogFile, clock: Clock) {
    this.#path = path;
    this.#file = file;
    this.#db = file.db;
    this.#clock = clock;
    this.#statements = prepareStatements(this.#db);
    this.#clients = new SqliteClients(this.#statements);
    const meta = new Map(
      (this.#db.prepare("SELECT key, value FROM meta").all() as { key: string; value: string }[])
        .map(({ key, value }) => [key, value]),
    );
    this.epoch = meta.get("epoch")!;
    const trimmed = meta.get("trimmed");
    if (trimmed !== undefined) this.#trimmed = JSON.parse(trimmed) as LogPosition;
    const purged = meta.get("purged");
    if (purged !== undefined) this.#purged = JSON.parse(purged) as Stamp;
    for (const row of this.#db.prepare("SELECT no, name, visible FROM tables").all()) {
      const { no, name, visible } = row as { no: number; name: string; visible: number };
      this.#tables.set(name, no);
      this.#visible.set(no, visible);
    }
    const folded = Number(meta.get("folded"));
    this.#rows = new SqliteRows(this.#db, folded);
    this.#recover(folded);
  }

  /** Finds the head and replays the rows that were not folded; checks the hashes on the way. */
  #recover(folded: number): void {
    this.#seq = this.#trimmed.seq;
    this.#hash = Number.parseInt(this.#trimmed.hash, 36);
    const from = Math.max(folded, this.#trimmed.seq);
    if (from > this.#trimmed.seq) {
      const entry = this.#statements.entry.get(from) as { hash: number; at: number } | undefined;
      if (entry === undefined) throw this.#damaged(`entry ${from} is missing`);
      this.#seq = from;
      this.#hash = entry.hash;
      this.#at = entry.at;
    }
    let dirty = new Map<string, DirtyRow>();
    for (const item of this.#statements.read.iterate(this.#seq, Number.MAX_SAFE_INTEGER, -1)) {
      const row = item as unknown as LogRow;
      const delta = JSON.parse(row.json) as Delta;
      this.#hash = extendHash(this.#hash, delta.deltaId);
      if (row.seq !== this.#seq + 1 || row.hash !== this.#hash) {
        throw this.#damaged(`entry ${row.seq} does not follow from the one before it`);
      }
      this.#seq = row.seq;
      this.#at = row.at;
      const tbl = this.#tables.get(row.name)!;
      const key = rowKeyOf(tbl, delta.rowId);
      const held = dirty.get(key)?.state ?? this.#rows.get(tbl, delta.rowId);
      const state = held === undefined ? emptyRow() : cloneRow(held);
      mergeDelta(state, delta);
      dirty.set(key, { tbl, rowId: delta.rowId, state, seq: row.seq });
      if (dirty.size >= REPLAY_ROWS) {
        this.#rows.put(dirty.values(), this.#seq);
        dirty = new Map();
      }
    }
    this.#rows.put(dirty.values(), this.#seq);
  }

  #damaged(reason: string): LakeSyncError {
    return new LakeSyncError(
      "CORRUPT",
      `Cannot open "${this.#path}" as a log: it is damaged (${reason}). It was left as it is; restore a backup or choose another data directory`,
    );
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
    this.#db.exec("BEGIN IMMEDIATE");
    let publish: () => void;
    try {
      publish = body();
      this.#db.exec("COMMIT");
    } catch (thrown) {
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
    return this.#guard(() => ({ seq: this.#seq, hash: hashText(this.#hash) }));
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
        this.#commit(() => {
          const staged = this.#stage();
          for (const { request } of group) results.push(this.#appendOne(request, staged));
          const folded = this.#rows.foldStep(staged.seq - this.#seq);
          return () => {
            this.#publish(staged);
            folded();
          };
        });
        group.forEach(({ resolve }, i) => resolve(results[i]!));
      } catch (thrown) {
        const error = storageError(thrown, this.#path);
        for (const { resolve } of group) resolve(err(error));
      }
    }
  }

  #stage(): Staged {
    return {
      seq: this.#seq,
      hash: this.#hash,
      at: this.#at,
      rows: new Map(),
      visible: new Map(),
      clients: new Map(),
      tables: new Map(),
    };
  }

  #publish(staged: Staged): void {
    this.#seq = staged.seq;
    this.#hash = staged.hash;
    this.#at = staged.at;
    for (const [name, no] of staged.tables) this.#tables.set(name, no);
    for (const [no, visible] of staged.visible) this.#visible.set(no, visible);
    this.#clients.publish(staged.clients);
    this.#rows.put(staged.rows.values(), staged.seq);
  }

  #appendOne(request: AppendRequest, staged: Staged): Result<AppendOutcome> {
    const now = this.#clock.now();
    let from = Infinity;
    const view: AppendView = {
      head: { seq: staged.seq, hash: hashText(staged.hash) },
      now,
      purged: this.#purged,
      duplicate: (delta) => {
        const seq = this.#clients.duplicate(delta, staged.clients);
        if (seq !== undefined) from = Math.min(from, seq);
        return seq;
      },
      row: (table, rowId) => {
        const tbl = staged.tables.get(table) ?? this.#tables.get(table);
        if (tbl === undefined) return undefined;
        return staged.rows.get(rowKeyOf(tbl, rowId))?.state ?? this.#rows.get(tbl, rowId);
      },
    };
    let plan: AppendPlan;
    try {
      plan = request.plan(view);
    } catch (thrown) {
      // Nothing of this request is written yet: the others of its group go on.
      return err(toLakeSyncError(thrown, "INTERNAL"));
    }
    const first = plan.entries.length > 0 ? staged.seq + 1 : undefined;
    this.#write(request, plan, { staged, now, from: Math.min(from, first ?? Infinity) });
    return ok({ head: { seq: staged.seq, hash: hashText(staged.hash) }, first });
  }

  #write(
    request: AppendRequest,
    plan: AppendPlan,
    context: { staged: Staged; now: number; from: number },
  ): void {
    const { staged, now, from } = context;
    const statements = this.#statements;
    for (const [key, value] of plan.values ?? []) this.#setValue(key, value);
    if (from === Infinity) return;
    const pusher = this.#clients.get(request.clientId, staged.clients);
    statements.setPusher.run(from, pusher.no);
    staged.at = Math.max(staged.at, now);
    const changed = new Set<number>();
    let values: SQLInputValue[] = [];
    for (const { delta, effect, txEnd } of plan.entries) {
      const client = delta.clientId === request.clientId
        ? pusher
        : this.#clients.get(delta.clientId, staged.clients);
      if (client.greatest === undefined || compareHlc(delta.hlc, client.greatest) > 0) {
        client.greatest = delta.hlc;
      }
      const tbl = this.#table(delta.table, staged);
      const packed = packEffect(effect);
      staged.seq++;
      staged.hash = extendHash(staged.hash, delta.deltaId);
      values.push(
        staged.seq,
        staged.hash,
        staged.at,
        Number(txEnd),
        pusher.no,
        client.no,
        storedHlc(delta.hlc),
        tbl,
        storedText(delta.rowId),
        JSON.stringify(delta),
        packed.effect,
        packed.won,
        packed.state,
      );
      if (values.length === INSERT_ROWS * LOG_COLUMNS) {
        statements.insertMany.run(...values);
        values = [];
      }
      if (effect.last && effect.before !== effect.after) {
        const change = Number(effect.after === "alive") - Number(effect.before === "alive");
        if (change !== 0) {
          const count = staged.visible.get(tbl) ?? this.#visible.get(tbl) ?? 0;
          staged.visible.set(tbl, count + change);
          changed.add(tbl);
        }
      }
    }
    for (let i = 0; i < values.length; i += LOG_COLUMNS) {
      statements.insert.run(...values.slice(i, i + LOG_COLUMNS));
    }
    for (const tbl of changed) statements.setVisible.run(staged.visible.get(tbl)!, tbl);
    for (const { table, rowId, state } of plan.rows) {
      const tbl = this.#table(table, staged);
      staged.rows.set(rowKeyOf(tbl, rowId), { tbl, rowId, state, seq: staged.seq });
    }
  }

  #table(name: string, staged: Staged): number {
    const known = staged.tables.get(name) ?? this.#tables.get(name);
    if (known !== undefined) return known;
    const { no } = this.#statements.addTable.get(name) as { no: number };
    staged.tables.set(name, no);
    return no;
  }

  read(after: number, options: ReadLogOptions): Promise<Result<readonly LogEntry[]>> {
    return this.#guard(() => {
      if (after < this.#trimmed.seq) throw trimmedError(after, this.#trimmed.seq);
      const { limit, maxChars = 8_388_608, through = Number.MAX_SAFE_INTEGER } = options;
      const { readSize, read } = this.#statements;
      const { bytes } = readSize.get(after, through, limit) as { bytes: number };
      // Rows one by one cost more than twice as much as all at once: only where they are too large.
      if (bytes <= maxChars) {
        return (read.all(after, through, limit) as unknown as LogRow[]).map(toEntry);
      }
      const entries: LogEntry[] = [];
      let chars = 0;
      for (const item of read.iterate(after, through, limit)) {
        const row = item as unknown as LogRow;
        entries.push(toEntry(row));
        chars += row.json.length;
        if (chars >= maxChars) break;
      }
      return entries;
    });
  }

  hashAt(seq: number): Promise<Result<string | undefined>> {
    return this.#guard(() => {
      if (seq === this.#trimmed.seq) return this.#trimmed.hash;
      const entry = this.#statements.entry.get(seq) as { hash: number } | undefined;
      return entry === undefined ? undefined : hashText(entry.hash);
    });
  }

  snapshot(): Promise<Result<LogSnapshot>> {
    return this.#guard(() =>
      openSnapshot({
        path: this.#path,
        position: { seq: this.#seq, hash: hashText(this.#hash) },
        dirty: this.#rows.dirty(),
        tables: this.#tables,
        open: this.#snapshots,
      })
    );
  }

  getValue(key: string): Promise<Result<string | undefined>> {
    return this.#guard(() => {
      const row = this.#statements.getValue.get(key) as { value: string } | undefined;
      return row?.value;
    });
  }

  setValue(key: string, value: string | null): Promise<Result<void>> {
    return this.#guard(() => this.#setValue(key, value));
  }

  #setValue(key: string, value: string | null): void {
    if (value === null) this.#statements.deleteValue.run(key);
    else this.#statements.putValue.run(key, value);
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

  trim(options: { through: number }): Promise<Result<void>> {
    return this.#guard(() => {
      const last = lastTxEnd(this.#statements, options.through);
      if (last === undefined) return;
      this.#commit(() => this.#rows.foldAll(this.#seq));
      while (this.#trimmed.seq < last) {
        this.#commit(() => {
          const trimmed = trimStep(this.#statements, { trimmed: this.#trimmed.seq, last });
          return () => {
            this.#trimmed = trimmed;
          };
        });
      }
      for (let more = true; more;) {
        this.#commit(() => {
          const purged = purgeStep(this.#statements, {
            trimmed: this.#trimmed.seq,
            purged: this.#purged,
          });
          return () => {
            more = purged !== undefined;
            this.#purged = purged ?? this.#purged;
          };
        });
      }
    });
  }

  seqBefore(at: number): Promise<Result<number>> {
    return this.#guard(() => {
      // `at` never falls from entry to entry, so the place is found by halving.
      let low = this.#trimmed.seq;
      let high = this.#seq;
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
        head: this.#seq,
        trimmed: this.#trimmed.seq,
        rows: new Map([...this.#tables].map(([name, no]) => [name, this.#visible.get(no) ?? 0])),
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
      this.#commit(() => this.#rows.foldAll(this.#seq));
    } catch {
      // The rows are replayed from the log when it is opened again.
    }
    this.#db.close();
    this.#file.lock.close();
    return Promise.resolve();
  }
}
