import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { DIGEST_BUCKETS } from "@lakesync/core";

/** What is known of a row, or that it is gone. Hashes are whole numbers of 60 bits, as text. */
export type Known = readonly [key: string, bucket: number, hash: string | null];

/** A row that was there. */
interface HadRow {
  readonly key: string;
  readonly bucket: number;
  readonly hash: string;
}

/** What rows come to, bucket by bucket: as large for any number of rows. */
export class BucketSums {
  /** How many rows there are. */
  readonly rows: Int32Array = new Int32Array(DIGEST_BUCKETS);
  /** The sums of their hashes, of which the lowest 64 bits. */
  readonly sums: BigUint64Array = new BigUint64Array(DIGEST_BUCKETS);
}

/**
 * Which rows a reader of a table has, and a hash of each, in a file, by buckets. What a batch changes is
 * noted before it is given out, and counts once the reader asks with the cursor behind it: so the file
 * and the place where the reader keeps its cursor cannot come apart.
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
      CREATE TABLE IF NOT EXISTS had
        (key TEXT PRIMARY KEY, bucket INTEGER NOT NULL, hash INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS sums
        (bucket INTEGER PRIMARY KEY, rows INTEGER NOT NULL, high INTEGER NOT NULL, low INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS noted
        (key TEXT PRIMARY KEY, bucket INTEGER NOT NULL, hash INTEGER) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS reader (applied INTEGER NOT NULL, noted INTEGER NOT NULL);
      INSERT INTO reader SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM reader);
    `);
    this.#look = this.#db.prepare(
      `SELECT key, bucket, CAST(hash AS TEXT) AS hash FROM had
        WHERE key IN (SELECT value FROM json_each(?))`,
    );
    this.#note = this.#db.prepare(
      `INSERT OR REPLACE INTO noted
        SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS INTEGER) FROM json_each(?)`,
    );
  }

  /**
   * Brings the file to where its reader is.
   *
   * @param batch How many batches the reader has.
   * @returns Whether that is a place of this file.
   */
  moveTo(batch: number): boolean {
    const { applied, noted } = this.#place();
    if (batch === applied) return true;
    if (batch !== noted) return false;
    this.#transaction(() => {
      // In halves: the sum of a few hashes is more than SQLite holds.
      this.#db.exec(`
        INSERT INTO sums
          SELECT bucket, SUM(n), SUM(n * (hash >> 30)), SUM(n * (hash & 1073741823)) FROM (
            SELECT had.bucket, -1 AS n, had.hash FROM noted JOIN had ON had.key = noted.key
            UNION ALL SELECT bucket, 1, hash FROM noted WHERE hash IS NOT NULL
          ) GROUP BY bucket
          ON CONFLICT (bucket) DO UPDATE SET
            rows = rows + excluded.rows, high = high + excluded.high, low = low + excluded.low;
        DELETE FROM had WHERE key IN (SELECT key FROM noted WHERE hash IS NULL);
        INSERT OR REPLACE INTO had SELECT * FROM noted WHERE hash IS NOT NULL;
        DELETE FROM noted;
        UPDATE reader SET applied = noted;
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
      this.#db.exec("DELETE FROM noted");
      this.#note.run(JSON.stringify(changes));
      this.#db.prepare("UPDATE reader SET noted = ?").run(next);
    });
    return next;
  }

  /** Those of some rows that are known, by key. */
  look(keys: readonly string[]): Map<string, HadRow> {
    const rows = this.#look.all(JSON.stringify(keys)) as unknown as HadRow[];
    return new Map(rows.map((row) => [row.key, row]));
  }

  /** What the known rows come to. */
  sums(): BucketSums {
    const all = new BucketSums();
    for (const found of this.#db.prepare("SELECT bucket, rows, high, low FROM sums").iterate()) {
      const { bucket, rows, high, low } = found as unknown as { [name: string]: number };
      all.rows[bucket!] = rows!;
      all.sums[bucket!] = (BigInt(high!) << 30n) + BigInt(low!);
    }
    return all;
  }

  /** Known rows of some buckets behind a key, in order. */
  page(
    buckets: readonly number[],
    page: { readonly after: string; readonly limit: number },
  ): readonly { readonly key: string; readonly bucket: number }[] {
    const statement = this.#db.prepare(
      `SELECT key, bucket FROM had WHERE key > ? AND bucket IN (SELECT value FROM json_each(?))
        ORDER BY key LIMIT ?`,
    );
    const rows = statement.all(page.after, JSON.stringify(buckets), page.limit);
    return rows as unknown as { key: string; bucket: number }[];
  }

  close(): void {
    this.#db.close();
  }

  #place(): { applied: number; noted: number } {
    const statement = this.#db.prepare("SELECT applied, noted FROM reader");
    return statement.get() as unknown as { applied: number; noted: number };
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
