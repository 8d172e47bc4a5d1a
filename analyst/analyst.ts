import type { Hlc, Result } from "@lakesync/core";
import type { QueryColumn, QueryParam, QueryRow } from "./values.ts";

/** Options of {@linkcode Analyst.query} and {@linkcode Analyst.stream}. */
export interface QueryOptions {
  /**
   * Values for `?`, `$1` … (a list) or `$name` (an object). Whole numbers are bound as BIGINT, others
   * as DOUBLE.
   *
   * @default {[]}
   */
  readonly params?: readonly QueryParam[] | { readonly [name: string]: QueryParam };
  /**
   * Show every table as it was at this stamp, with all that was stamped up to it; a `Date` includes
   * its whole millisecond.
   *
   * @default {undefined} now
   */
  readonly asOf?: Hlc | Date;
  /**
   * Read these tables (by the app's names) at these snapshots of the lake, and without what is pending:
   * what a result's `snapshots` said gives the same rows again. A lake remembers so many snapshots;
   * beyond them it is `NOT_FOUND`.
   *
   * @default {new Map()} every table at its newest
   */
  readonly snapshots?: ReadonlyMap<string, bigint>;
  /**
   * Stops the query: `ABORTED`.
   *
   * @default {undefined}
   */
  readonly signal?: AbortSignal;
}

/** All rows of a query. */
export interface QueryResult {
  /** Its columns in their order. */
  readonly columns: readonly QueryColumn[];
  /** Its rows. */
  readonly rows: readonly QueryRow[];
  /** The snapshots of the lake that it read, by the names of the app's tables. */
  readonly snapshots: ReadonlyMap<string, bigint>;
}

/** The rows of a query as they come. */
export interface QueryStream {
  /** Its columns in their order. */
  readonly columns: readonly QueryColumn[];
  /**
   * The rows in chunks of at most 2,048, read once. It throws a `LakeSyncError` where the query
   * fails on its way. Take all of it, or leave its loop: until then it holds a connection.
   */
  readonly chunks: AsyncIterable<readonly QueryRow[]>;
  /** The snapshots of the lake that it reads, by the names of the app's tables. */
  readonly snapshots: ReadonlyMap<string, bigint>;
}

/**
 * Answers SQL (DuckDB's dialect) over a lake. A table `todos` of the app is there under two names:
 *
 * - `todos`: its rows, by the merge rules of the protocol; `id` and the app's columns under the
 *   app's names;
 * - `todos_changes`: its changelog, a row for each delta, with the columns of the lake: `_seq`,
 *   `_op`, `id`, `_hlc`, `_client_id`, `_tx_id`, `_commit_ts`, `_columns` and the app's. (Where the
 *   app itself has a table `todos_changes`, the name stands for that table's rows.)
 *
 * and has three functions, which take a moment as a stamp, a timestamp or a text of either:
 *
 * - `todos_at(moment)`: its rows as they were, with all that was stamped up to then; of a timestamp its
 *   whole millisecond counts;
 * - `todos_between(from, to)`: the rows that differ between two moments: `id`, `_change` (`added`,
 *   `changed` or `removed`), `_columns` (the names of those that differ), `before` and `after`;
 * - `todos_history(id)`: every change of a row in the order of the stamps, with who and when: `_op`,
 *   `_made`, `_commit_ts`, `_client_id`, `_tx_id`, `_hlc`, `_seq`, `_columns` (the names of those that it
 *   carries: a column that is named there and NULL was set to null) and the app's columns.
 *
 * Integers are BIGINT, timestamps TIMESTAMPTZ (the session's zone is UTC), bytes BLOB, and json is
 * its canonical text, which DuckDB's JSON functions and arrows take. A query sees one snapshot of
 * each table. Several statements may stand in one text: the last one's rows are the answer.
 *
 * Whoever may query is trusted with what the process may do: DuckDB's SQL reads and writes files.
 */
export interface Analyst {
  /** The names that SQL can use, sorted. */
  tables(): Promise<Result<readonly string[]>>;
  /**
   * Runs a query and gives all its rows.
   *
   * @returns The rows; `VALIDATION_ERROR` with DuckDB's message where the SQL is wrong (for an unknown
   * table also with the names there are), `STORAGE_ERROR` where a file cannot be read, `ABORTED`,
   * `CLOSED`, and what the lake or the pending deltas failed with.
   */
  query(sql: string, options?: QueryOptions): Promise<Result<QueryResult>>;
  /**
   * Runs a query and gives its rows as they come, in bounded memory.
   *
   * @returns The stream; the same errors as `query` up to the first row.
   */
  stream(sql: string, options?: QueryOptions): Promise<Result<QueryStream>>;
  /** Stops what runs and closes. May be called twice. */
  close(): Promise<void>;
}
