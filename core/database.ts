/**
 * The port of databases that deltas go to and come from. The conformance suite
 * `testing/database_adapter.ts` holds every implementation to it.
 */
import type { FlushBatch, FlushEntry, FlushOutcome, RowWrite, Watermark } from "./ports.ts";
import type { Result } from "./result.ts";
import type { TableSchema } from "./schema.ts";

/** Options of {@linkcode DatabaseAdapter.queryDeltasSince}. */
export interface QueryDeltasOptions {
  /**
   * Only deltas of these tables.
   *
   * @default {undefined} all tables
   */
  readonly tables?: readonly string[];
  /** The most deltas to return, at least 1. A page may end within a transaction. */
  readonly limit: number;
  /** Stops the query. */
  readonly signal?: AbortSignal;
}

/** Some deltas of a database and the place behind them. */
export interface DeltaPage {
  /** The deltas, each with the `seq` and the time that it was inserted with. */
  readonly entries: readonly FlushEntry[];
  /** Where the next page begins: pass it as `after`. An empty page gives the cursor it was asked with. */
  readonly cursor: string;
  /** Whether there was more when the page was read. */
  readonly hasMore: boolean;
}

/** Options of {@linkcode DatabaseAdapter.getLatestState}. */
export interface LatestStateOptions {
  /**
   * Only these rows; those of which nothing was seen are left out. At most a few thousand.
   *
   * @default {undefined} all rows
   */
  readonly rowIds?: readonly string[];
  /**
   * Only rows whose key follows this one.
   *
   * @default {undefined} from the first
   */
  readonly after?: string;
  /**
   * The most rows to return, at least 1.
   *
   * @default {1000}
   */
  readonly limit?: number;
  /** Stops the query. */
  readonly signal?: AbortSignal;
}

/** Some rows of a table. */
export interface StatePage {
  /** The rows in the order of their keys by code point, also dead ones: each once. */
  readonly rows: readonly RowWrite[];
  /** Pass as `after` for the next page; undefined on the last. */
  readonly next: string | undefined;
}

/**
 * A database that keeps deltas, and what they merge to. Each table has a watermark of its own.
 *
 * - What `insertDeltas` has answered as committed is on stable storage, all of a table's part or
 *   nothing of it, and its watermark with it.
 * - Every value comes back as it went in: the one wire form of its type, also beyond what a column
 *   of the database holds (64-bit integers, U+0000 in a text, microseconds, `bytes`, any JSON).
 * - Nothing is thrown for what happens at run time. Errors: `OFFLINE` where the server is not
 *   reached, `FORBIDDEN` where it refuses the user, `TIMEOUT`, `ABORTED`, `CONFLICT` where what is
 *   there is not LakeSync's or somebody else changed it, `CORRUPT`, `CLOSED` after `close`,
 *   `VALIDATION_ERROR` for what can never work, else `STORAGE_ERROR`. The message names the
 *   database, the table, the column where there is one, and the next step.
 * - A lost server is found by the call that is under way, which fails; the next one connects anew.
 */
export interface DatabaseAdapter {
  /** Names it in stats and logs. */
  readonly name: string;
  /**
   * Makes what is needed to keep deltas of these tables. May be called again, with more; what is
   * there already stays. `insertDeltas` does it by itself for the tables of its batch.
   */
  ensureSchema(
    tables: readonly TableSchema[],
    options?: { signal?: AbortSignal },
  ): Promise<Result<void>>;
  /** The newest committed watermark of each of these tables; none for those that have none yet. */
  watermarks(tables: readonly string[]): Promise<Result<ReadonlyMap<string, Watermark>>>;
  /**
   * Inserts a batch of any size, in bounded memory. A table's deltas and its watermark are one
   * commit, valid only on top of the watermark that the batch starts from: a batch that comes again
   * is `moved` and writes nothing. Entries at or below a table's `from` of the same epoch are left
   * out. The outcome of each table of the batch, by name: as {@linkcode Destination.write} has it.
   */
  insertDeltas(batch: FlushBatch): Promise<Result<ReadonlyMap<string, FlushOutcome>>>;
  /**
   * The deltas after a cursor (undefined: from the very first), in the order in which they were
   * inserted. That order never changes, and what is committed later comes later: who reads on from
   * a cursor misses nothing. `VALIDATION_ERROR` for a cursor that is not one of this database's.
   */
  queryDeltasSince(
    after: string | undefined,
    options: QueryDeltasOptions,
  ): Promise<Result<DeltaPage>>;
  /**
   * The merge (PROTOCOL, section 1) of all deltas committed so far, row by row. Costs what it
   * returns, not what the table or its history has. A table that was never written is empty.
   */
  getLatestState(table: string, options?: LatestStateOptions): Promise<Result<StatePage>>;
  /** Ends its connections. May be called twice; what is asked afterwards is `CLOSED`. */
  close(): Promise<void>;
}

/** Options of {@linkcode Materialisable.materialise}. */
export interface MaterialiseOptions {
  /** Stops it between commits; what was committed stays, and the next call goes on there. */
  readonly signal?: AbortSignal;
}

/** What a {@linkcode Materialisable.materialise} did. */
export interface MaterialiseReport {
  /** Rows that were made or replaced. */
  readonly upserted: number;
  /** Rows that were deleted. */
  readonly deleted: number;
  /**
   * By column, how many of the upserted rows have a value there that the column cannot hold. It is
   * null in the column and exact in `props`.
   */
  readonly misfits: ReadonlyMap<string, number>;
}

/**
 * Keeps tables for people to query: one row for each row that is alive, with `id`, a column for each
 * column of the schema, `props` (JSON: columns that the schema does not name, and values that their
 * column cannot hold) and `synced_at` (when the row was last written).
 */
export interface Materialisable {
  /**
   * Brings a table up to the deltas that are committed. Makes it where it is not there, adds columns
   * that it lacks, never drops one. Goes on where it ended: costs what changed since. Right under
   * late and repeated deltas, and when it is called twice at once.
   *
   * @returns What it did; `CONFLICT` that names table and column where what is there does not fit.
   */
  materialise(
    schema: TableSchema,
    options?: MaterialiseOptions,
  ): Promise<Result<MaterialiseReport>>;
}

/** A delta of a database, with its place among all of them. */
export interface PlacedDelta {
  /** The cursor of `queryDeltasSince` behind it, as a number: later ones have greater places. */
  readonly place: number;
  /** The delta. */
  readonly entry: FlushEntry;
}

/**
 * What a {@linkcode DatabaseAdapter} has beside it where deltas can be taken out of it again, to be
 * kept elsewhere. Watermarks stay. Each call is one commit; its errors are those of the adapter.
 */
export interface Prunable {
  /** The place of the newest delta; 0 where there was none. */
  newestPlace(): Promise<Result<number>>;
  /** The deltas of these tables after a place and up to another, in the order of their places. */
  deltasAfter(
    place: number,
    options: {
      readonly tables: readonly string[];
      readonly through: number;
      readonly limit: number;
    },
  ): Promise<Result<readonly PlacedDelta[]>>;
  /** The deltas at these places, in their order; those that are gone are left out. */
  deltasAt(places: readonly number[]): Promise<Result<readonly PlacedDelta[]>>;
  /** Removes the deltas at these places. What the rows merge to stays. */
  removeDeltas(places: readonly number[]): Promise<Result<void>>;
  /** Forgets what these rows merge to, but for those that have a delta after a place. */
  removeRows(
    table: string,
    options: { readonly rowIds: readonly string[]; readonly after: number },
  ): Promise<Result<void>>;
}
