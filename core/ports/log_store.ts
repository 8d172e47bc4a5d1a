import type { Delta } from "../delta.ts";
import type { JsonValue } from "../json.ts";
import type { RowState, Stamp } from "../merge.ts";
import type { Result } from "../result.ts";

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
