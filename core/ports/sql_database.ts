import type { Result } from "../result.ts";

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
