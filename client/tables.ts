import type { InsertOf, Result, RowOf, Table, UpdateOf } from "@lakesync/core";

/**
 * A table of a client. Every write is one local transaction, durable when it is answered; it shows
 * at once and is synced later.
 *
 * @typeParam T The declared table.
 */
export interface TableClient<T extends Table> {
  /**
   * Adds a row.
   *
   * @param row Its columns; `id` is made where it is left out.
   * @returns The row; `CONFLICT` where the id is there, `VALIDATION_ERROR` where a value does not fit.
   */
  insert(row: InsertOf<T>): Promise<Result<RowOf<T>>>;
  /**
   * Adds rows as one: all of them or none, here and elsewhere. For more than one push holds
   * (`PAYLOAD_TOO_LARGE`) take `client.import`.
   *
   * @param rows Their columns.
   * @returns The rows, in the same order.
   */
  insertMany(rows: Iterable<InsertOf<T>>): Promise<Result<RowOf<T>[]>>;
  /**
   * Adds a row, or changes the one that is there so that it has these columns.
   *
   * @param row Its columns, as an insert takes them; `id` is made where it is left out.
   * @returns The row as it now is.
   */
  upsert(row: InsertOf<T>): Promise<Result<RowOf<T>>>;
  /**
   * Adds or changes rows as one: all of them or none.
   *
   * @param rows Their columns.
   * @returns The rows as they now are, in the same order.
   */
  upsertMany(rows: Iterable<InsertOf<T>>): Promise<Result<RowOf<T>[]>>;
  /**
   * Changes columns of a row.
   *
   * @param id The row.
   * @param changes The columns that change; only those that differ are synced.
   * @returns The row as it now is; `NOT_FOUND` where there is none.
   */
  update(id: string, changes: UpdateOf<T>): Promise<Result<RowOf<T>>>;
  /**
   * Removes a row.
   *
   * @param id The row.
   * @returns Whether it was there.
   */
  delete(id: string): Promise<Result<boolean>>;
  /**
   * Reads a row.
   *
   * @param id The row.
   * @returns The row, or undefined where there is none.
   */
  get(id: string): Promise<Result<RowOf<T> | undefined>>;
}

/**
 * A table within a transaction: like {@linkcode TableClient}, but with plain values. A failure is
 * thrown as a `LakeSyncError` and rolls the transaction back.
 *
 * @typeParam T The declared table.
 */
export interface TransactionTable<T extends Table> {
  /** Adds a row; `id` is made where it is left out. */
  insert(row: InsertOf<T>): Promise<RowOf<T>>;
  /** Adds rows. */
  insertMany(rows: Iterable<InsertOf<T>>): Promise<RowOf<T>[]>;
  /** Adds a row, or changes the one that is there so that it has these columns. */
  upsert(row: InsertOf<T>): Promise<RowOf<T>>;
  /** Adds or changes rows. */
  upsertMany(rows: Iterable<InsertOf<T>>): Promise<RowOf<T>[]>;
  /** Changes columns of a row. */
  update(id: string, changes: UpdateOf<T>): Promise<RowOf<T>>;
  /** Removes a row; whether it was there. */
  delete(id: string): Promise<boolean>;
  /** Reads a row as this transaction sees it. */
  get(id: string): Promise<RowOf<T> | undefined>;
}

/** The tables of a client by name. */
export type TableClients<Tables extends readonly Table[]> = {
  readonly [T in Tables[number] as T["name"]]: TableClient<T>;
};

/** The tables of a transaction by name. */
export type TransactionTables<Tables extends readonly Table[]> = {
  readonly [T in Tables[number] as T["name"]]: TransactionTable<T>;
};
