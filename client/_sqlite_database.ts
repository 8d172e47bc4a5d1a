import {
  err,
  LakeSyncError,
  ok,
  type Result,
  type SqlDatabase,
  type SqlRow,
  type SqlTransaction,
  type SqlValue,
  toLakeSyncError,
} from "@lakesync/core";
import { checkProgram, checkReading } from "./_reading.ts";
import { sqliteError } from "./_sqlite_error.ts";

/** A connection to SQLite, synchronous. It throws what {@linkcode sqliteError} understands. */
export interface SqliteConnection {
  /** Runs a statement; gives the number of changed rows. */
  run(sql: string, params: readonly SqlValue[]): number;
  /** Runs a statement and gives its rows. */
  all(sql: string, params: readonly SqlValue[]): SqlRow[];
  /** Runs a statement that is not kept compiled. */
  once(sql: string): SqlRow[];
  /** Closes it. */
  close(): void;
}

/** What a {@linkcode SqliteDatabase} works with. */
export interface SqliteDatabaseOptions {
  /** The connection that writes. */
  readonly writer: SqliteConnection;
  /**
   * Another one, so that queries see only what is committed while a transaction is under way.
   *
   * @default {undefined} queries wait their turn
   */
  readonly reader?: SqliteConnection;
  /**
   * Makes durable what the connection has committed, before that is answered. Where it throws, it
   * has put the file back to what it was before the transaction.
   *
   * @default {undefined} a commit is durable
   */
  readonly persist?: () => Promise<void>;
  /**
   * Between a transaction and the next one, where much has been written since the last time: lets
   * others have their turn, where nothing in a transaction does.
   *
   * @default {undefined} the next one begins at once
   */
  readonly pause?: () => Promise<void>;
  /**
   * Whether its commits are durable by `synchronous = FULL` alone, so that one can do without.
   *
   * @default {false}
   */
  readonly loose?: boolean;
  /**
   * Called at the end.
   *
   * @default {undefined}
   */
  readonly closed?: () => void;
}

/** How many rows are written before others have their turn; a transaction counts as so many more. */
const WRITES_A_TURN = 2_000;
const TRANSACTION = 10;

/** The {@linkcode SqlDatabase} on one or two connections, whichever SQLite they are of. */
export class SqliteDatabase implements SqlDatabase {
  readonly #options: SqliteDatabaseOptions;
  readonly #writer: SqliteConnection;
  readonly #reader: SqliteConnection | undefined;
  #turn: Promise<void> = Promise.resolve();
  #synchronous: "FULL" | "NORMAL" = "FULL";
  #written = 0;
  #closed = false;

  constructor(options: SqliteDatabaseOptions) {
    this.#options = options;
    this.#writer = options.writer;
    this.#reader = options.reader;
  }

  async transaction<T>(body: (tx: SqlTransaction) => Promise<T>): Promise<Result<T>> {
    return await this.#transact(body, "FULL");
  }

  /** See {@linkcode commitSoon}. */
  async transactionSoon<T>(body: (tx: SqlTransaction) => Promise<T>): Promise<Result<T>> {
    return await this.#transact(body, this.#options.loose === true ? "NORMAL" : "FULL");
  }

  async #transact<T>(
    body: (tx: SqlTransaction) => Promise<T>,
    synchronous: "FULL" | "NORMAL",
  ): Promise<Result<T>> {
    return await this.#inTurn(async () => {
      const tx = new Transaction(this.#writer);
      try {
        if (this.#synchronous !== synchronous) {
          this.#writer.run(`PRAGMA synchronous = ${synchronous}`, []);
          this.#synchronous = synchronous;
        }
        this.#writer.run("BEGIN IMMEDIATE", []);
      } catch (thrown) {
        return err(sqliteError(thrown, "Cannot begin a transaction"));
      }
      let value: T;
      try {
        value = await body(tx);
        if (tx.failure !== undefined) throw tx.failure;
        tx.end();
        this.#writer.run("COMMIT", []);
        // Nobody is kept from anything by what answers to the network.
        if (synchronous === "FULL") this.#written += tx.changes + TRANSACTION;
      } catch (thrown) {
        tx.end();
        try {
          this.#writer.run("ROLLBACK", []);
        } catch {
          // SQLite has rolled back by itself: it does after some failures, such as a full disk.
        }
        const isSqlite = (thrown as { code?: unknown } | null)?.code === "ERR_SQLITE_ERROR";
        return err(
          isSqlite
            ? sqliteError(thrown, "Cannot commit a transaction")
            : toLakeSyncError(thrown, "INTERNAL"),
        );
      }
      try {
        await this.#options.persist?.();
      } catch (thrown) {
        return err(sqliteError(thrown, "Cannot commit a transaction"));
      }
      return ok(value);
    });
  }

  async query(sql: string, params: readonly SqlValue[] = []): Promise<Result<SqlRow[]>> {
    return await this.#reading((connection) => {
      checkReading(sql);
      return connection.all(sql, params);
    });
  }

  async tablesOf(sql: string): Promise<Result<readonly string[]>> {
    return await this.#reading((connection) => tablesOf(connection, sql));
  }

  async close(): Promise<void> {
    await this.#inTurn(() => {
      this.#closed = true;
      this.#reader?.close();
      this.#writer.close();
      this.#options.closed?.();
      return Promise.resolve(ok(undefined));
    });
  }

  async #reading<T>(read: (connection: SqliteConnection) => T): Promise<Result<T>> {
    const attempt = (connection: SqliteConnection): Result<T> => {
      try {
        return ok(read(connection));
      } catch (thrown) {
        return err(sqliteError(thrown, "Cannot run query"));
      }
    };
    if (this.#reader !== undefined) return this.#closed ? closed() : attempt(this.#reader);
    return await this.#inTurn(() => {
      this.#writer.run("PRAGMA query_only = ON", []);
      try {
        return Promise.resolve(attempt(this.#writer));
      } finally {
        this.#writer.run("PRAGMA query_only = OFF", []);
      }
    });
  }

  /** Runs work when all that was asked for earlier is done. */
  async #inTurn<T>(work: () => Promise<Result<T>>): Promise<Result<T>> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      return this.#closed ? closed() : await work();
    } finally {
      const { pause } = this.#options;
      if (pause === undefined || this.#written < WRITES_A_TURN) resolve();
      else {
        this.#written = 0;
        void pause().then(resolve);
      }
    }
  }
}

function closed(): Result<never> {
  return err(new LakeSyncError("CLOSED", "The database is closed: open it again"));
}

class Transaction implements SqlTransaction {
  /** The first failure: after it the transaction can only be rolled back. */
  failure: unknown;
  /** How many rows it has changed. */
  changes = 0;
  readonly #connection: SqliteConnection;
  #ended = false;

  constructor(connection: SqliteConnection) {
    this.#connection = connection;
  }

  end(): void {
    this.#ended = true;
  }

  all(sql: string, params: readonly SqlValue[] = []): Promise<SqlRow[]> {
    return this.#attempt(() => this.#connection.all(sql, params));
  }

  run(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return this.#attempt(() => {
      const changed = this.#connection.run(sql, params);
      this.changes += changed;
      return changed;
    });
  }

  runMany(sql: string, params: readonly (readonly SqlValue[])[]): Promise<number> {
    return this.#attempt(() => {
      let changed = 0;
      for (const list of params) changed += this.#connection.run(sql, list);
      this.changes += changed;
      return changed;
    });
  }

  #attempt<T>(work: () => T): Promise<T> {
    if (this.#ended) {
      return Promise.reject(
        new LakeSyncError("CLOSED", "The transaction has ended: begin another one"),
      );
    }
    try {
      return Promise.resolve(work());
    } catch (thrown) {
      const error = sqliteError(thrown, "Cannot run statement");
      this.failure ??= error;
      return Promise.reject(error);
    }
  }
}

function tablesOf(connection: SqliteConnection, sql: string): readonly string[] {
  // EXPLAIN goes by the schema that this connection knows, which is old where another one has
  // changed it since; a query notices that. In a transaction, so that nothing changes meanwhile.
  connection.run("BEGIN", []);
  try {
    connection.all("SELECT count(*) FROM sqlite_master", []);
    // Not kept: few statements are explained twice.
    const program = connection.once(`EXPLAIN ${sql}`);
    checkProgram(program);
    const pages = new Set<number>();
    for (const { opcode, p2, p3 } of program) {
      if ((opcode === "OpenRead" || opcode === "ReopenIdx") && p3 === 0) pages.add(Number(p2));
    }
    // An index has a root page of its own, and its table's name.
    const rows = connection.all(
      "SELECT DISTINCT tbl_name AS name FROM sqlite_master " +
        "WHERE rootpage IN (SELECT value FROM json_each(?)) ORDER BY tbl_name",
      [JSON.stringify([...pages])],
    );
    return rows.map((row) => String(row.name));
  } finally {
    connection.run("COMMIT", []);
  }
}
