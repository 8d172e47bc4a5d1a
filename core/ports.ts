/**
 * The ports: what other packages implement and meet in. Each comment states what always holds; the
 * conformance suites in `testing/` hold every implementation to it.
 */
import type { Delta } from "./delta.ts";
import type { LakeSyncError } from "./errors.ts";
import type { Hlc } from "./hlc.ts";
import type { JsonValue } from "./json.ts";
import type { LogSeq } from "./log_seq.ts";
import type { RowState, Stamp } from "./merge.ts";
import type { Result } from "./result.ts";
import type { ColumnType, TableSchema } from "./schema.ts";
import type {
  CheckpointRequest,
  CheckpointRow,
  PullAnswer,
  PullRequest,
  PushAnswer,
  PushRequest,
} from "./wire.ts";

// ---------------------------------------------------------------------------------------------
// Time, chance, logs

/** Physical time. */
export interface Clock {
  /** Milliseconds since the Unix epoch. May stand still or go back. */
  now(): number;
}

/** Waiting. */
export interface Scheduler {
  /**
   * Resolves after `ms` milliseconds, or as soon as the signal aborts; never rejects.
   * A pending delay does not keep a process alive.
   */
  delay(ms: number, options?: { signal?: AbortSignal }): Promise<void>;
}

/** Chance. */
export interface Random {
  /** So many random bytes. */
  bytes(length: number): Uint8Array;
  /** A version 4 UUID. */
  uuid(): string;
}

/** How grave a log line is. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Structured logs. Never throws. */
export interface Logger {
  /** Writes one line: what happened, and facts about it (never row values or tokens). */
  log(level: LogLevel, event: string, facts?: { readonly [key: string]: unknown }): void;
}

// ---------------------------------------------------------------------------------------------
// LogStore: the gateway's state

/** A place in the log. */
export interface LogPosition {
  /** The seq of the last entry up to here; 0 before the first. */
  readonly seq: number;
  /** The running hash over all entries up to here; `"0"` before the first. */
  readonly hash: string;
}

/** What a row was before or after a transaction. `lifeless` has registers but no life. */
export type RowStatus = "none" | "lifeless" | "dead" | "alive";

/** Values of a row's columns, in wire form; columns that the row does not have are left out. */
export type RowFacts = readonly (readonly [column: string, value: JsonValue])[];

/** What rules look at: a row's columns before its transaction's first entry on it and after its last. */
export interface JudgedFacts {
  /** Before; undefined where the row was not alive. */
  readonly before: RowFacts | undefined;
  /** After; undefined where it is not alive. */
  readonly after: RowFacts | undefined;
}

/** What an entry did, found when it was appended. */
export interface EntryEffect {
  /** The row's status before its transaction's first entry on it. */
  readonly before: RowStatus;
  /** The row's status after its transaction's last entry on it. */
  readonly after: RowStatus;
  /** Whether this is its transaction's last entry on the row. */
  readonly last: boolean;
  /** Whether its life register won and still counts after its transaction. */
  readonly life: boolean;
  /** The columns that won and still count then; undefined where it carries some and all of them do. */
  readonly columns: readonly string[] | undefined;
  /**
   * The row just after its transaction, on its last entry there, where a caller may have to be given
   * the whole of it: one that comes alive from `lifeless` or `dead`, or whose judged facts change.
   */
  readonly state: RowState | undefined;
  /** What rules look at in the row; undefined where no rule looked into its table. */
  readonly judged: JudgedFacts | undefined;
}

/** An entry that is to be appended. Its place is given by the store. */
export interface NewEntry {
  /** The accepted delta. */
  readonly delta: Delta;
  /** What it did. */
  readonly effect: EntryEffect;
  /** Whether it is the last of its transaction. */
  readonly txEnd: boolean;
  /** What it is found by, beside its place: see {@linkcode ReadLogOptions.keys}. Each once; few. */
  readonly keys: readonly string[];
}

/** An entry of the log. */
export interface LogEntry {
  /** Its place: 1, 2, 3 …, without gaps. */
  readonly seq: number;
  /** The running hash up to and with this entry. */
  readonly hash: string;
  /** When it was appended, by the store's clock, in ms; never lower than its predecessor's. */
  readonly at: number;
  /** The seq of the last entry of its transaction. */
  readonly txLast: number;
  /** The delta's maker. */
  readonly clientId: string;
  /** The delta's table. */
  readonly table: string;
  /** The delta's row. */
  readonly rowId: string;
  /** The delta as its wire JSON. (Text, because most readers pass it on without looking into it.) */
  readonly json: string;
  /** What it did. */
  readonly effect: EntryEffect;
}

/** What a plan may look at. Everything is as of the head, with all earlier appends applied. */
export interface AppendView {
  /** The head. */
  readonly head: LogPosition;
  /** The store's clock, read once for this plan, in ms. */
  readonly now: number;
  /** The greatest purged stamp, where there is one. */
  readonly purged: Stamp | undefined;
  /** The seq of the same delta where the store remembers it (also behind the trim), else undefined. */
  duplicate(delta: Delta): number | undefined;
  /** A row's state, or undefined where nothing of it was seen. Not to be changed: clone it. */
  row(table: string, rowId: string): RowState | undefined;
  /** A value, as {@linkcode LogStore.getValue} would give it. */
  value(key: string): string | undefined;
}

/** A row's state that is to be stored. */
export interface RowWrite {
  /** The row's table. */
  readonly table: string;
  /** The row's key. */
  readonly rowId: string;
  /** Its new state. */
  readonly state: RowState;
}

/** What a plan wants written. */
export interface AppendPlan {
  /** Entries in order; may be empty. */
  readonly entries: readonly NewEntry[];
  /** The states that result from them, each row at most once. */
  readonly rows: readonly RowWrite[];
  /** Values to set in the same commit (null removes one): a source's cursor, say. */
  readonly values?: ReadonlyMap<string, string | null>;
}

/** Names a row. */
export interface RowKey {
  /** Its table. */
  readonly table: string;
  /** Its key within the table. */
  readonly rowId: string;
}

/** A request to append. */
export interface AppendRequest {
  /** Who pushes. The store remembers each pusher's last push beyond the trim. */
  readonly clientId: string;
  /** Every delta that `plan` may ask `duplicate` about. */
  readonly deltas: readonly Delta[];
  /** Every row that `plan` may ask `row` about. */
  readonly rows: readonly RowKey[];
  /**
   * Every key that `plan` may ask `value` about.
   *
   * @default {[]}
   */
  readonly values?: readonly string[];
  /** Decides what is written. Pure and synchronous: a store may call it again on a newer view. */
  plan(view: AppendView): AppendPlan;
}

/** The outcome of an append. */
export interface AppendOutcome {
  /** The head just after this append. */
  readonly head: LogPosition;
  /** The first seq that it was given; undefined where it appended nothing. */
  readonly first: number | undefined;
}

/** Options of {@linkcode LogStore.read}. */
export interface ReadLogOptions {
  /** The most entries to return; at least 1. A read may end within a transaction. */
  readonly limit: number;
  /**
   * Stop after the entry with which the JSON reaches this many characters.
   *
   * @default {8_388_608}
   */
  readonly maxChars?: number;
  /**
   * The last seq to return.
   *
   * @default {Infinity}
   */
  readonly through?: number;
  /**
   * Only entries that were appended with one of these keys, each once, in order. Costs what it
   * returns, not what it passes over.
   * `t:<table>` stands for all of a table's entries: they are always appended with it, and a store
   * may find them by its own means.
   *
   * @default {undefined} all entries
   */
  readonly keys?: readonly string[];
}

/** All rows at one position of the log. Must be closed. */
export interface LogSnapshot {
  /** The position; entries appended later are not in `rows`. */
  readonly position: LogPosition;
  /** Every stored row (also dead ones) once, of these tables or of all, in bounded chunks. */
  rows(tables?: readonly string[]): AsyncIterable<readonly RowWrite[]>;
  /** Lets go of the snapshot. May be called twice. */
  close(): Promise<void>;
}

/** What a store knows of itself. */
export interface LogStats {
  /** The head's seq. */
  readonly head: number;
  /** The last seq that was trimmed; 0 where none was. */
  readonly trimmed: number;
  /** Visible rows for each table that has entries or rows. */
  readonly rows: ReadonlyMap<string, number>;
  /** How many clients have pushed. */
  readonly clients: number;
}

/** What a trim may remove. */
export interface TrimOptions {
  /** The last seq that may go. The store never trims within a transaction. */
  readonly through: number;
}

/**
 * A gateway's durable state: the log, the merged rows, what is needed to know duplicates, values
 * and leases. One store is one gateway. Where several processes open one store (each an *instance*),
 * all that is said here holds for them together.
 *
 * - What `append` has answered is on stable storage, all of it or nothing of it.
 * - Seqs are 1, 2, 3 … without gaps, never reused; an entry is readable only when all lower ones are.
 * - Failures come back as `STORAGE_ERROR` (`CORRUPT` where the contents are damaged, `CLOSED` after
 *   `close`, `PAYLOAD_TOO_LARGE` for an append and `BACKPRESSURE` for one snapshot more than the store
 *   can hold) and leave nothing half-written.
 */
export interface LogStore {
  /** A random id that the store was given when it was made. */
  readonly epoch: string;
  /** Where the log ends. */
  head(): Promise<Result<LogPosition>>;
  /**
   * The store's clock, in ms since the Unix epoch. Never lower than a time that it gave before, also
   * over a restart; all instances go by it.
   */
  now(): Promise<Result<number>>;
  /**
   * Calls back soon after the log has grown or a value was set, by whichever instance; it may call
   * more often than that, and never throws into the store.
   *
   * @returns Ends it.
   */
  subscribe(listener: () => void): () => void;
  /** Appends atomically and durably. Concurrent appends may share one commit; each has its own outcome. */
  append(request: AppendRequest): Promise<Result<AppendOutcome>>;
  /** The entries after a seq, in order. `CHECKPOINT_REQUIRED` where some of them are trimmed. */
  read(after: number, options: ReadLogOptions): Promise<Result<readonly LogEntry[]>>;
  /** The running hash at a seq: of any entry still there, of the trim's edge, of 0. Else undefined. */
  hashAt(seq: number): Promise<Result<string | undefined>>;
  /** All rows at the present head. */
  snapshot(): Promise<Result<LogSnapshot>>;
  /** A value, or undefined. */
  getValue(key: string): Promise<Result<string | undefined>>;
  /** Sets a value durably; null removes it. */
  setValue(key: string, value: string | null): Promise<Result<void>>;
  /** Takes or renews a lease for so long; false where somebody else holds it. */
  acquireLease(name: string, options: { holder: string; ttlMs: number }): Promise<Result<boolean>>;
  /** Lets go of a lease, where this holder has it. */
  releaseLease(name: string, options: { holder: string }): Promise<Result<void>>;
  /**
   * Removes entries up to a seq, and dead or lifeless rows whose last entry went with them; the
   * greatest of their stamps is kept as `purged`. Duplicates of what is still in the log, and of
   * each pusher's last push, stay known.
   */
  trim(options: TrimOptions): Promise<Result<void>>;
  /** The greatest seq appended before a time (ms, by the store's clock); 0 where there is none. */
  seqBefore(at: number): Promise<Result<number>>;
  /** Counts for operators. */
  stats(): Promise<Result<LogStats>>;
  /** Writes out what is pending and closes. May be called twice. */
  close(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------
// ObjectStore: files, S3, memory

/** Options of {@linkcode ObjectStore.put}. */
export interface PutOptions {
  /**
   * Fail with `CONFLICT` where the key exists. Of several such puts at once exactly one succeeds.
   *
   * @default {false}
   */
  readonly ifAbsent?: boolean;
  /** Stops the put; nothing is left behind under the key. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode ObjectStore.get}. */
export interface GetOptions {
  /**
   * First byte.
   *
   * @default {0}
   */
  readonly start?: number;
  /**
   * One past the last byte; beyond the end means up to the end.
   *
   * @default {Infinity}
   */
  readonly end?: number;
  /** Stops the get. */
  readonly signal?: AbortSignal;
}

/** Facts about an object. */
export interface ObjectInfo {
  /** Its key, relative to the store's location. */
  readonly key: string;
  /** Its size in bytes. */
  readonly size: number;
  /** When it was last written, ms since the Unix epoch. */
  readonly modified: number;
}

/** A page of a listing. */
export interface ObjectPage {
  /** Objects in the order of their keys by UTF-8 bytes. */
  readonly objects: readonly ObjectInfo[];
  /** Pass as `after` for the next page; undefined on the last. */
  readonly next: string | undefined;
}

/** Options of {@linkcode ObjectStore.list}. */
export interface ListOptions {
  /**
   * Only keys above this one.
   *
   * @default {undefined}
   */
  readonly after?: string;
  /**
   * At most so many.
   *
   * @default {1000}
   */
  readonly limit?: number;
  /** Stops the listing. */
  readonly signal?: AbortSignal;
}

/**
 * Objects by key. Keys are `/`-separated segments of `[A-Za-z0-9._=%-]`, none of them `.` or `..`.
 * A put is atomic (a reader sees the old object, the new one or none, never a part) and durable
 * once answered. Failures come back as `NOT_FOUND`, `CONFLICT`, `ABORTED` or `STORAGE_ERROR`.
 */
export interface ObjectStore {
  /** The URL that keys are relative to, without a slash at its end: `file:///data/lake`, `s3://bucket/prefix`. */
  readonly location: string;
  /** Writes an object, streaming where the body does. */
  put(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: PutOptions,
  ): Promise<Result<void>>;
  /** Reads an object or a range of it; `NOT_FOUND` where there is none. */
  get(key: string, options?: GetOptions): Promise<Result<Uint8Array>>;
  /** Facts about an object, or undefined where there is none. */
  head(key: string): Promise<Result<ObjectInfo | undefined>>;
  /** Lists the objects whose keys start with a prefix. */
  list(prefix: string, options?: ListOptions): Promise<Result<ObjectPage>>;
  /** Removes objects; a key that is not there counts as removed. */
  delete(keys: readonly string[]): Promise<Result<void>>;
}

// ---------------------------------------------------------------------------------------------
// Destination: what a flush writes to

/** How far a destination's table is: everything of this epoch up to and with `seq` is in it. */
export interface Watermark {
  /** The log store's epoch. */
  readonly epoch: string;
  /** The last seq. */
  readonly seq: number;
  /**
   * The log's running hash at `seq`, by which a log that was restored from a backup is told from the
   * one that the table was written from. A destination keeps it with the rest and does not compare it;
   * left out where it is not known: of tables that were written before there was one, or by none.
   */
  readonly hash?: string;
}

/** An entry on its way into a destination. */
export interface FlushEntry {
  /** Its place in the log. */
  readonly seq: number;
  /** When the gateway appended it, ms since the Unix epoch. */
  readonly at: number;
  /** The delta. */
  readonly delta: Delta;
}

/** A table's part in a flush. */
export interface FlushTable {
  /** Its schema of today. */
  readonly schema: TableSchema;
  /** The newest watermark the table had when the batch was planned; undefined for a new table. */
  readonly from: Watermark | undefined;
}

/** A stretch of the log for a destination. */
export interface FlushBatch {
  /** Names this batch; the same when it is tried again. */
  readonly id: string;
  /** The watermark that every table in `tables` has once it is committed. */
  readonly to: Watermark;
  /** The tables that this batch may touch, by name. */
  readonly tables: ReadonlyMap<string, FlushTable>;
  /** The entries in seq order, in bounded chunks, each table's only above its `from`. Read once. */
  readonly entries: AsyncIterable<readonly FlushEntry[]>;
  /** Stops the write between commits. */
  readonly signal?: AbortSignal;
}

/** What became of a table in a flush. */
export type FlushOutcome =
  /** Data and watermark are committed together. */
  | {
    readonly status: "committed";
    readonly deltas: number;
    readonly objects: number;
    readonly bytes: number;
  }
  /** The batch had nothing for this table; its watermark stays. */
  | { readonly status: "empty" }
  /** The newest watermark was not `from`: nothing was written. Plan anew from `watermark`. */
  | { readonly status: "moved"; readonly watermark: Watermark | undefined }
  /** Nothing of this table was committed, as far as is known; a retry finds out from the watermark. */
  | { readonly status: "failed"; readonly error: LakeSyncError };

/** What a destination does behind flushes, as operators see it. */
export interface DestinationStats {
  /** How many jobs were done. */
  readonly done: number;
  /** The tables of which a job waits or runs, or something has to be told. */
  readonly tables: ReadonlyMap<string, TableJobStats>;
}

/** What is done behind flushes for a table. */
export interface TableJobStats {
  /** Whether a job waits or runs. */
  readonly waiting: boolean;
  /** How often it has failed in a row. */
  readonly attempts: number;
  /** Why, the last time; left out where it did not. */
  readonly error?: LakeSyncError;
  /** By column, how many values it could not hold when last looked at; left out for none. */
  readonly misfits?: ReadonlyMap<string, number>;
}

/**
 * Where flushes go. A table's data and its watermark are one commit, and a commit is valid only on
 * top of the watermark that it starts from: so a crash, a second flusher or a lost answer neither
 * loses nor doubles a delta.
 */
export interface Destination {
  /** Names it in stats and logs. */
  readonly name: string;
  /** The newest committed watermark of each of these tables; none for those that have no table yet. */
  watermarks(tables: readonly string[]): Promise<Result<ReadonlyMap<string, Watermark>>>;
  /** Writes a batch; the outcome of each of its tables, by name. */
  write(batch: FlushBatch): Promise<Result<ReadonlyMap<string, FlushOutcome>>>;
  /** What it does behind flushes, where it does something. Answers soon: who asks waits for a moment only. */
  stats?(): Promise<Result<DestinationStats>>;
}

// ---------------------------------------------------------------------------------------------
// Source: what flows in

/** A record from a source. */
export interface SourceChange {
  /** `upsert` makes or changes the row so that it has these columns; `delete` removes it. */
  readonly op: "upsert" | "delete";
  /** The table that it goes to. */
  readonly table: string;
  /** The row's key. */
  readonly rowId: string;
  /** Columns in wire form; for `delete` none. */
  readonly columns: ReadonlyMap<string, JsonValue>;
}

/** Some records and the place behind them. */
export interface SourceBatch {
  /** At most a few thousand records. */
  readonly changes: readonly SourceChange[];
  /** Where to go on. Stored in the same commit as the changes. */
  readonly cursor: string;
}

/** Something that data comes from. */
export interface Source {
  /** Names it: an identifier. */
  readonly name: string;
  /**
   * The records after a cursor (undefined: from the beginning), in an order that never changes. The
   * cursor may come from a caller of the gateway: do not trust it to be one of the source's own.
   */
  read(
    options: { cursor: string | undefined; signal?: AbortSignal },
  ): AsyncIterable<Result<SourceBatch>>;
}

// ---------------------------------------------------------------------------------------------
// LakeReader: what analysts read

/** A column of a lake table. */
export interface LakeColumn {
  /** Its Iceberg field id. */
  readonly fieldId: number;
  /** Its name. */
  readonly name: string;
  /** Its Iceberg type: `string`, `long`, `double`, `boolean`, `timestamptz`, `binary`. */
  readonly type: string;
}

/** A data file of a lake table. */
export interface LakeFile {
  /** Its URL, as the table's metadata has it. */
  readonly url: string;
  /** Its key in the lake's object store. */
  readonly key: string;
  /** How many rows it has. */
  readonly rows: number;
  /** Its size in bytes. */
  readonly bytes: number;
  /** The range of `_hlc` in it, as stamps; undefined where it is not known. */
  readonly hlc: { readonly min: Hlc; readonly max: Hlc } | undefined;
  /** Whether a row of this `id` may be in it; left out where that is not known. */
  readonly mayHave?: (id: string) => boolean;
  /** The range of `_commit_ts` in it, in µs since the Unix epoch; left out where it is not known. */
  readonly committed?: { readonly min: number; readonly max: number };
  /**
   * Reads which rows of the file are gone, whichever way the table tells of them: their places in the
   * file, from 0 on, each once, in no order. Who reads the file leaves these rows out. Left out where
   * no row is gone.
   *
   * `CORRUPT` where what tells of them is damaged, `STORAGE_ERROR`, `ABORTED`.
   */
  readonly gone?: (options?: { signal?: AbortSignal }) => Promise<Result<readonly number[]>>;
}

/** A lake table at one snapshot. */
export interface LakeScan {
  /** Its columns. */
  readonly columns: readonly LakeColumn[];
  /** The types that the user's columns have in LakeSync. */
  readonly types: ReadonlyMap<string, ColumnType>;
  /** Its data files. */
  readonly files: readonly LakeFile[];
  /** Its snapshot's id, or undefined for an empty table. */
  readonly snapshotId: bigint | undefined;
  /** How far it is. */
  readonly watermark: Watermark | undefined;
}

/** Options of {@linkcode LakeReader.scan}. */
export interface ScanOptions {
  /**
   * Read this snapshot.
   *
   * @default {undefined} the newest
   */
  readonly snapshotId?: bigint;
}

/** Reads a lake's tables. Table names are those of the lake: `todos_changes`. */
export interface LakeReader {
  /** The tables there are. */
  tables(): Promise<Result<readonly string[]>>;
  /** What to read for a table: `NOT_FOUND` where there is none. */
  scan(table: string, options?: ScanOptions): Promise<Result<LakeScan>>;
}

// ---------------------------------------------------------------------------------------------
// SqlDatabase: a client's SQLite

/** What SQLite takes and gives. Integers come as `number` where that is exact, else as `bigint`. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** A row of a result, by column name. Its prototype is null. */
export type SqlRow = { readonly [column: string]: SqlValue };

/** Statements within a transaction. A failing one rejects; that rolls the transaction back. */
export interface SqlTransaction {
  /** Runs a statement and gives its rows. */
  all(sql: string, params?: readonly SqlValue[]): Promise<SqlRow[]>;
  /** Runs a statement once for each list of parameters; gives the number of changed rows. */
  runMany(sql: string, params: readonly (readonly SqlValue[])[]): Promise<number>;
  /** Runs a statement; gives the number of changed rows. */
  run(sql: string, params?: readonly SqlValue[]): Promise<number>;
}

/**
 * A SQLite database. Transactions run one after the other; a query sees no half of one. What
 * `transaction` has answered is on stable storage.
 */
export interface SqlDatabase {
  /** Runs `body` as one transaction; an exception in it rolls back and becomes the error. */
  transaction<T>(body: (tx: SqlTransaction) => Promise<T>): Promise<Result<T>>;
  /** Runs a reading query outside of any transaction. `VALIDATION_ERROR` where it would write. */
  query(sql: string, params?: readonly SqlValue[]): Promise<Result<SqlRow[]>>;
  /** The tables that a reading query reads, by name. */
  tablesOf(sql: string): Promise<Result<readonly string[]>>;
  /** Closes it. May be called twice. */
  close(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------
// SyncTransport: a client's way to its gateway

/** A checkpoint as it arrives. */
export interface Checkpoint {
  /** The log position that it is of. */
  readonly seq: LogSeq;
  /** Where pulls go on. */
  readonly cursor: string;
  /**
   * The visible rows in chunks. It ends only when the whole checkpoint has come, and throws a
   * `LakeSyncError` where it broke off or its count differs: then the checkpoint is thrown away.
   */
  readonly rows: AsyncIterable<readonly CheckpointRow[]>;
}

/** Options of a request. */
export interface RequestOptions {
  /** Stops the request. */
  readonly signal?: AbortSignal;
}

/** Talks to a gateway. Errors carry the gateway's code, or `OFFLINE` where it was not reached. */
export interface SyncTransport {
  /**
   * Whether a pull with `wait` is held until there is something to deliver, or its time is over. A
   * client then keeps one under way beside its pushes, and so hears of news at once; without it the
   * client asks at an interval.
   *
   * @default {undefined} it is not held
   */
  readonly live?: boolean;
  /** Sends deltas up. */
  push(request: PushRequest, options?: RequestOptions): Promise<Result<PushAnswer>>;
  /**
   * Asks for a page. What comes follows on the cursor without a gap, whichever way it came: a
   * transport may have had it pushed ahead of the request.
   */
  pull(request: PullRequest, options?: RequestOptions): Promise<Result<PullAnswer>>;
  /** Asks for the whole state. */
  checkpoint(
    request: CheckpointRequest,
    options?: RequestOptions,
  ): Promise<Result<Checkpoint>>;
  /**
   * Ends connections that are kept open between requests, where there are any; the next request
   * opens them again. A client calls it when it is paused or closed.
   */
  disconnect?(): void;
}
