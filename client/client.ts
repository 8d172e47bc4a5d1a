import type { InsertOf, Result, SqlRow, SqlValue, Table } from "@lakesync/core";
import type { LiveQuery } from "./live_query.ts";
import type { Rejected } from "./rejected.ts";
import type { SqlQuery } from "./sql_query.ts";
import type { ClientEvents, ClientStatus, SyncSummary } from "./status.ts";
import type { ClientStorage } from "./storage.ts";
import type { TableClients, TransactionTables } from "./tables.ts";

/** What a transaction's body works with. Its methods throw, which rolls the transaction back. */
export interface ClientTransaction<Tables extends readonly Table[]> {
  /** The tables by name. */
  readonly tables: TransactionTables<Tables>;
  /**
   * Runs a reading query that sees what this transaction has written.
   *
   * @param sql One SELECT.
   * @param params Values for its `?`.
   * @returns The rows.
   */
  query<Row extends SqlRow = SqlRow>(sql: string, params?: readonly SqlValue[]): Promise<Row[]>;
  /**
   * Runs the query of a builder.
   *
   * @param query The query, with its parameters.
   * @returns The rows.
   */
  query<Row = SqlRow>(query: SqlQuery<Row>): Promise<Row[]>;
}

/** Options of {@linkcode Client.syncOnce} and {@linkcode Client.import}. */
export interface WaitOptions {
  /** Stops it; what was done until then stays. */
  signal?: AbortSignal;
}

/** The row type of a table, by the table's name. */
export type InsertByName<Tables extends readonly Table[], Name extends Tables[number]["name"]> =
  InsertOf<Extract<Tables[number], { readonly name: Name }>>;

/**
 * A device's copy of the data: SQLite that syncs. Made by `createClient`.
 *
 * @typeParam Tables The declared tables.
 */
export interface Client<Tables extends readonly Table[] = readonly Table[]> {
  /** Names this database; made with it. */
  readonly clientId: string;
  /** The tables by name. */
  readonly tables: TableClients<Tables>;
  /** What the client is doing about sync. */
  readonly status: ClientStatus;
  /**
   * Runs a reading query over the tables as they show: booleans are 0 and 1, `json` is text, a
   * row's key is `id`.
   *
   * @param sql One SELECT, VALUES or WITH.
   * @param params Values for its `?`.
   * @returns The rows; `VALIDATION_ERROR` where SQLite refuses it.
   */
  query<Row extends SqlRow = SqlRow>(
    sql: string,
    params?: readonly SqlValue[],
  ): Promise<Result<Row[]>>;
  /**
   * Runs the query of a builder, such as `queryBuilder()` of `@lakesync/client/kysely`.
   *
   * @param query The query, with its parameters.
   * @returns The rows.
   */
  query<Row = SqlRow>(query: SqlQuery<Row>): Promise<Result<Row[]>>;
  /**
   * A query whose result follows the data.
   *
   * @param sql One SELECT, VALUES or WITH.
   * @param params Values for its `?`.
   * @returns What to subscribe to or to iterate over.
   */
  live<Row extends SqlRow = SqlRow>(sql: string, params?: readonly SqlValue[]): LiveQuery<Row>;
  /**
   * A builder's query whose result follows the data.
   *
   * @param query The query, with its parameters.
   * @returns What to subscribe to or to iterate over.
   */
  live<Row = SqlRow>(query: SqlQuery<Row>): LiveQuery<Row>;
  /**
   * Runs changes as one: all of them show at once and travel as one transaction, or none. Other
   * writes of this client wait meanwhile, as do its queries where the database is in memory, so the
   * body must await neither: `tx` has what it needs.
   *
   * @param body Makes the changes; an exception rolls all of them back and becomes the error.
   * @returns What the body returned; `PAYLOAD_TOO_LARGE` where it would not fit into one push.
   */
  transaction<T>(body: (tx: ClientTransaction<Tables>) => Promise<T>): Promise<Result<T>>;
  /**
   * Writes many rows, in several local transactions and pushes. A row whose id is there is changed
   * so that it has these columns.
   *
   * @param table The table's name.
   * @param rows The rows, as an insert takes them.
   * @returns How many rows were written. After a failure, those written before it stay.
   */
  import<Name extends Tables[number]["name"]>(
    table: Name,
    rows: Iterable<InsertByName<Tables, Name>> | AsyncIterable<InsertByName<Tables, Name>>,
    options?: WaitOptions,
  ): Promise<Result<{ readonly rows: number }>>;
  /**
   * Pulls all there is, pushes all of the outbox, and pulls what that brought.
   *
   * @returns What it did, or why it could not.
   */
  syncOnce(options?: WaitOptions): Promise<Result<SyncSummary>>;
  /** Stops the automatic sync, also one under way, as if the device were offline. */
  pause(): void;
  /** Starts the automatic sync again, at once. */
  resume(): void;
  /** How many deltas the gateway has not acknowledged yet. */
  pending(): Promise<Result<number>>;
  /** Where the data is kept, and how much room there is for it. */
  storage(): Promise<Result<ClientStorage>>;
  /** The changes that were rejected for good: list, retry or drop them. */
  readonly rejected: Rejected;
  /**
   * Listens to an event.
   *
   * @param event Its name.
   * @param listener Gets what the event tells.
   * @returns Ends the listening.
   */
  on<Name extends keyof ClientEvents>(
    event: Name,
    listener: (value: ClientEvents[Name]) => void,
  ): () => void;
  /** Stops syncing, ends live queries and closes the database, where the client opened it. */
  close(): Promise<void>;
  /**
   * Closes the client and removes all of its data from the device, for all of an app's tabs: what an
   * app does when somebody signs out. What the gateway has not acknowledged is lost: sync first, and
   * look at `status.outbox`. A database that the client did not open stays, without the client's tables.
   *
   * @returns How many deltas were lost so; `STORAGE_ERROR` where something of it could not be removed.
   */
  wipe(): Promise<Result<{ readonly unsent: number }>>;
}
