import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { SqlDatabase, SqlRow, SqlValue } from "@lakesync/core";
import { type SqliteConnection, SqliteDatabase } from "./_sqlite_database.ts";
import { APPLICATION_ID } from "./_sqlite_header.ts";

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

/** What is loaded only where there is no browser. */
export interface NodeModules {
  readonly DatabaseSync: typeof DatabaseSync;
  /** Lets the event loop look at everything once. It is about turns, not time: no clock rules over it. */
  readonly turn: () => Promise<void>;
}

/**
 * Opens a path. A file has two connections, so that queries see only what is committed while a
 * transaction is under way; a database in memory has one. Throws what node:sqlite throws.
 */
export function openNodeSqlite(
  path: string,
  { DatabaseSync: Database, turn }: NodeModules,
): SqlDatabase {
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
    if (memory) return new SqliteDatabase({ writer: new Connection(writer) });
    const reader = new Database(path, { readOnly: true });
    reader.prepare("PRAGMA busy_timeout = 5000").get();
    return new SqliteDatabase({
      writer: new Connection(writer),
      reader: new ReadingConnection(reader),
      loose: true,
      // All calls of node:sqlite are synchronous: who writes without a pause, and waits for nothing
      // else, would keep the network from its turn.
      pause: turn,
    });
  } catch (thrown) {
    writer.close();
    throw thrown;
  }
}

function hasApplicationId(database: DatabaseSync): boolean {
  return database.prepare("PRAGMA application_id").get()?.application_id === APPLICATION_ID;
}

const SELECTING = /^\s*select\b/i;

/** What may change the tables, or take such a change back. */
const RESHAPING = /^\s*(?:alter|create|drop|rollback)\b/i;

/** A connection and its compiled statements. */
class Connection implements SqliteConnection {
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
    const { changes } = this.#prepare(sql).run(...params);
    if (RESHAPING.test(sql)) this.forget();
    return Number(changes);
  }

  /** Lets go of what is compiled: Deno takes a statement's columns from when it was. */
  protected forget(): void {
    this.#statements.clear();
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

  once(sql: string): SqlRow[] {
    return this.#database.prepare(sql).all() as SqlRow[];
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

/** A connection that reads what others write, who may change the tables too. */
class ReadingConnection extends Connection {
  readonly #version: StatementSync;
  readonly #look: StatementSync;
  #seen: unknown;

  constructor(database: DatabaseSync) {
    super(database);
    this.#version = database.prepare("PRAGMA schema_version");
    this.#look = database.prepare("SELECT 1 FROM sqlite_master LIMIT 1");
  }

  override all(sql: string, params: readonly SqlValue[]): SqlRow[] {
    const version = this.#version.get()?.schema_version;
    if (version !== this.#seen) {
      this.#seen = version;
      // SQLite sees the new tables when it runs something, not yet when it compiles it.
      this.#look.get();
      this.forget();
    }
    return super.all(sql, params);
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
