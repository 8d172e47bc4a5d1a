import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** What a batch of changes did to a row: its new hash, null where it is gone. */
export type Known = readonly [key: string, hash: string | null];

/** A row that a reading before this one saw. */
interface KnownRow {
  readonly key: string;
  readonly no: number;
  readonly hash: string;
}

/**
 * Which rows a reader of a table has, and a hash of each, in a file. What a batch changes is noted
 * before it is given out, and counts once the reader asks with the cursor behind it: so the file and the
 * place where the reader keeps its cursor cannot come apart.
 */
export class DiffState {
  readonly #db: DatabaseSync;
  readonly #look: StatementSync;
  readonly #note: StatementSync;

  /** @param path The file; made where it is not there. */
  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.#db = new DatabaseSync(path);
    this.#db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA cache_size = -16384;
      CREATE TABLE IF NOT EXISTS known (no INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, hash TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS pending (key TEXT PRIMARY KEY, hash TEXT) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS place (applied INTEGER NOT NULL, pending INTEGER NOT NULL);
      INSERT INTO place SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM place);
    `);
    this.#look = this.#db.prepare(
      "SELECT key, no, hash FROM known WHERE key IN (SELECT value FROM json_each(?))",
    );
    this.#note = this.#db.prepare(
      "INSERT OR REPLACE INTO pending SELECT value ->> 0, value ->> 1 FROM json_each(?)",
    );
  }

  /**
   * Brings the file to where its reader is.
   *
   * @param batch How many batches the reader has.
   * @returns Whether that is a place of this file.
   */
  moveTo(batch: number): boolean {
    const { applied, pending } = this.#place();
    if (batch === applied) return true;
    if (batch !== pending) return false;
    this.#transaction(() => {
      this.#db.exec(`
        DELETE FROM known WHERE key IN (SELECT key FROM pending WHERE hash IS NULL);
        INSERT INTO known (key, hash) SELECT key, hash FROM pending WHERE hash IS NOT NULL
          ON CONFLICT (key) DO UPDATE SET hash = excluded.hash;
        DELETE FROM pending;
        UPDATE place SET applied = pending;
      `);
    });
    return true;
  }

  /**
   * Notes what the next batch changes, in the place of one that was not taken.
   *
   * @returns How many batches the reader has behind it.
   */
  note(changes: readonly Known[]): number {
    const next = this.#place().applied + 1;
    this.#transaction(() => {
      this.#db.exec("DELETE FROM pending");
      this.#note.run(JSON.stringify(changes));
      this.#db.prepare("UPDATE place SET pending = ?").run(next);
    });
    return next;
  }

  /** Those of some rows that are known, by key. */
  look(keys: readonly string[]): Map<string, KnownRow> {
    const rows = this.#look.all(JSON.stringify(keys)) as unknown as KnownRow[];
    return new Map(rows.map((row) => [row.key, row]));
  }

  /** How many rows are known, and the greatest of their numbers. */
  counts(): { readonly rows: number; readonly last: number } {
    const statement = this.#db.prepare(
      "SELECT COUNT(*) AS rows, IFNULL(MAX(no), 0) AS last FROM known",
    );
    return statement.get() as unknown as { rows: number; last: number };
  }

  /** Known rows in the order of their numbers. */
  from(after: number, limit: number): readonly KnownRow[] {
    const statement = this.#db.prepare(
      "SELECT key, no, hash FROM known WHERE no > ? ORDER BY no LIMIT ?",
    );
    return statement.all(after, limit) as unknown as KnownRow[];
  }

  close(): void {
    this.#db.close();
  }

  #place(): { applied: number; pending: number } {
    const statement = this.#db.prepare("SELECT applied, pending FROM place");
    return statement.get() as unknown as { applied: number; pending: number };
  }

  #transaction(body: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      body();
      this.#db.exec("COMMIT");
    } catch (thrown) {
      this.#db.exec("ROLLBACK");
      throw thrown;
    }
  }
}

/** Numbers, a bit each: a set of rows that costs 125 kB for each million of them. */
export class NumberSet {
  readonly #bits: Uint8Array;

  /** @param last The greatest number that may be in it. */
  constructor(last: number) {
    this.#bits = new Uint8Array((last >> 3) + 1);
  }

  /** Adds a number. */
  add(no: number): void {
    this.#bits[no >> 3]! |= 1 << (no & 7);
  }

  /** Whether a number is in it. */
  has(no: number): boolean {
    return (this.#bits[no >> 3]! & (1 << (no & 7))) !== 0;
  }
}
