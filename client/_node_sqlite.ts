import type { DatabaseSync, StatementSync } from "node:sqlite";
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

/** Marks a file as a LakeSync client's: "LSC1". */
export const APPLICATION_ID = 0x4c534331;

const PRAGMAS = [
  "journal_mode = WAL",
  "synchronous = FULL",
  "cache_size = -32000",
  "wal_autocheckpoint = 4000",
  "foreign_keys = OFF",
  "trusted_schema = OFF",
];

/** Statements that are kept compiled, per connection. */
const MAX_STATEMENTS = 200;

/**
 * The {@linkcode SqlDatabase} on node:sqlite. A file has two connections, so that queries see only
 * what is committed while a transaction is under way; a database in memory has one, so that queries
 * wait their turn.
 */
export class NodeSqlite implements SqlDatabase {
  readonly #writer: Connection;
  readonly #reader: Connection | undefined;
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(writer: Connection, reader: Connection | undefined) {
    this.#writer = writer;
    this.#reader = reader;
  }

  /** Opens a path. Throws what node:sqlite throws. */
  static open(path: string, Database: typeof DatabaseSync): NodeSqlite {
    const memory = path === ":memory:";
    const writer = new Database(path);
    try {
      // Statements one by one, because Deno's exec() tells no error code.
      writer.prepare("PRAGMA busy_timeout = 5000").get();
      // Before WAL: so the mark is in the file itself from its first byte on.
      if (!hasApplicationId(writer)) {
        writer.prepare(`PRAGMA application_id = ${APPLICATION_ID}`).run();
      }
      for (const pragma of PRAGMAS) writer.prepare(`PRAGMA ${pragma}`).all();
      writer.prepare("SELECT count(*) AS n FROM sqlite_master").get();
      if (memory) return new NodeSqlite(new Connection(writer), undefined);
      const reader = new Database(path, { readOnly: true });
      reader.prepare("PRAGMA busy_timeout = 5000").get();
      return new NodeSqlite(new Connection(writer), new Connection(reader));
    } catch (thrown) {
      writer.close();
      throw thrown;
    }
  }

  async transaction<T>(body: (tx: SqlTransaction) => Promise<T>): Promise<Result<T>> {
    return await this.#inTurn(async () => {
      const tx = new Transaction(this.#writer);
      try {
        this.#writer.run("BEGIN IMMEDIATE", []);
      } catch (thrown) {
        return err(sqliteError(thrown, "Cannot begin a transaction"));
      }
      try {
        const value = await body(tx);
        if (tx.failure !== undefined) throw tx.failure;
        tx.end();
        this.#writer.run("COMMIT", []);
        return ok(value);
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
    });
  }

  async query(sql: string, params: readonly SqlValue[] = []): Promise<Result<SqlRow[]>> {
    return await this.#reading((connection) => {
      checkReading(sql);
      return connection.all(sql, params);
    });
  }

  async tablesOf(sql: string): Promise<Result<readonly string[]>> {
    return await this.#reading((connection) => connection.tablesOf(sql));
  }

  async close(): Promise<void> {
    await this.#inTurn(() => {
      this.#closed = true;
      this.#reader?.close();
      this.#writer.close();
      return Promise.resolve(ok(undefined));
    });
  }

  async #reading<T>(read: (connection: Connection) => T): Promise<Result<T>> {
    const attempt = (connection: Connection): Result<T> => {
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
      resolve();
    }
  }
}

function closed(): Result<never> {
  return err(new LakeSyncError("CLOSED", "The database is closed: open it again"));
}

function hasApplicationId(database: DatabaseSync): boolean {
  return database.prepare("PRAGMA application_id").get()?.application_id === APPLICATION_ID;
}

const SELECTING = /^\s*select\b/i;

class Transaction implements SqlTransaction {
  /** The first failure: after it the transaction can only be rolled back. */
  failure: unknown;
  readonly #connection: Connection;
  #ended = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  end(): void {
    this.#ended = true;
  }

  all(sql: string, params: readonly SqlValue[] = []): Promise<SqlRow[]> {
    return this.#attempt(() => this.#connection.all(sql, params));
  }

  run(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return this.#attempt(() => this.#connection.run(sql, params));
  }

  runMany(sql: string, params: readonly (readonly SqlValue[])[]): Promise<number> {
    return this.#attempt(() => {
      let changed = 0;
      for (const list of params) changed += this.#connection.run(sql, list);
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

/** A connection and its compiled statements. */
class Connection {
  readonly #database: DatabaseSync;
  readonly #statements: Map<string, StatementSync> = new Map();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  run(sql: string, params: readonly SqlValue[]): number {
    return Number(this.#prepare(sql).run(...params).changes);
  }

  all(sql: string, params: readonly SqlValue[]): SqlRow[] {
    const statement = this.#prepare(sql);
    if (SELECTING.test(sql)) {
      try {
        const rows = statement.all(...params) as SqlRow[];
        if (!mayBeRounded(rows)) return rows;
      } catch (thrown) {
        // An integer that a number does not hold: read again with bigints.
        if ((thrown as { code?: unknown }).code !== "ERR_OUT_OF_RANGE") throw thrown;
      }
    }
    // Other statements may write, so that they are run once only.
    statement.setReadBigInts(true);
    try {
      const rows = statement.all(...params) as { [column: string]: SqlValue }[];
      for (const row of rows) {
        for (const column in row) {
          const value = row[column];
          if (typeof value === "bigint") row[column] = narrow(value);
        }
      }
      return rows;
    } finally {
      statement.setReadBigInts(false);
    }
  }

  tablesOf(sql: string): readonly string[] {
    // EXPLAIN goes by the schema that this connection knows, which is old where another one has
    // changed it since; a query notices that. In a transaction, so that nothing changes meanwhile.
    this.run("BEGIN", []);
    try {
      this.#prepare("SELECT count(*) FROM sqlite_master").all();
      return this.#explain(sql);
    } finally {
      this.run("COMMIT", []);
    }
  }

  #explain(sql: string): readonly string[] {
    // Not kept: few statements are explained twice.
    const program = this.#database.prepare(`EXPLAIN ${sql}`).all() as SqlRow[];
    checkProgram(program);
    const pages = new Set<number>();
    for (const { opcode, p2, p3 } of program) {
      if ((opcode === "OpenRead" || opcode === "ReopenIdx") && p3 === 0) pages.add(Number(p2));
    }
    // An index has a root page of its own, and its table's name.
    const rows = this.#prepare(
      "SELECT DISTINCT tbl_name AS name FROM sqlite_master " +
        "WHERE rootpage IN (SELECT value FROM json_each(?)) ORDER BY tbl_name",
    ).all(JSON.stringify([...pages]));
    return rows.map((row) => String(row.name));
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    if (this.#statements.size >= MAX_STATEMENTS) {
      const oldest = this.#statements.keys().next();
      if (!oldest.done) this.#statements.delete(oldest.value);
    }
    this.#statements.set(sql, statement);
    return statement;
  }
}

/** Whether a row has what Deno makes of the least 64-bit integer: a number beyond the safe ones. */
function mayBeRounded(rows: readonly SqlRow[]): boolean {
  for (const row of rows) {
    for (const column in row) if (row[column] === LEAST_INTEGER) return true;
  }
  return false;
}

const LEAST_INTEGER = -(2 ** 63);

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
