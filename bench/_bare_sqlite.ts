import { DatabaseSync, type StatementSync } from "node:sqlite";

/** What a SQLite file costs with nothing around it: a table of `(seq, payload)`, durable commits. */
export class BareLog {
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #read: StatementSync;
  #seq = 0;

  constructor(path: string) {
    this.#db = openBare(path);
    this.#db.exec("CREATE TABLE log (seq INTEGER PRIMARY KEY, payload TEXT NOT NULL)");
    this.#insert = this.#db.prepare("INSERT INTO log VALUES (?, ?)");
    this.#read = this.#db.prepare(
      "SELECT seq, payload FROM log WHERE seq > ? ORDER BY seq LIMIT ?",
    );
  }

  /** Appends some payloads in one transaction. */
  append(payloads: readonly string[]): void {
    this.#db.exec("BEGIN IMMEDIATE");
    for (const payload of payloads) this.#insert.run(++this.#seq, payload);
    this.#db.exec("COMMIT");
  }

  /** The payloads after a seq. */
  read(after: number, limit: number): { seq: number; payload: string }[] {
    return this.#read.all(after, limit) as unknown as { seq: number; payload: string }[];
  }

  /** Closes the file. */
  close(): void {
    this.#db.close();
  }
}

/** A row of the benchmarks' table as SQLite takes it: id, title, done, n. */
export type BareRow = readonly [id: string, title: string, done: number, n: number];

/** The benchmarks' table with nothing around it. */
export class BareTodos {
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;

  constructor(path: string) {
    this.#db = openBare(path);
    this.#db.exec("CREATE TABLE todos (id TEXT PRIMARY KEY, title TEXT, done INTEGER, n INTEGER)");
    this.#insert = this.#db.prepare("INSERT INTO todos VALUES (?, ?, ?, ?)");
  }

  /** Inserts some rows in one transaction. */
  insert(rows: readonly BareRow[]): void {
    this.#db.exec("BEGIN IMMEDIATE");
    for (const row of rows) this.#insert.run(...row);
    this.#db.exec("COMMIT");
  }

  /** All rows. */
  rows(): BareRow[] {
    const rows = this.#db.prepare("SELECT id, title, done, n FROM todos").all();
    return rows.map(({ id, title, done, n }) => [id, title, done, n] as unknown as BareRow);
  }

  /** Closes the file. */
  close(): void {
    this.#db.close();
  }
}

/** The same pragmas as the gateway's log has. */
function openBare(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  db.exec(`
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -65536;
    PRAGMA wal_autocheckpoint = 8000;
  `);
  return db;
}
