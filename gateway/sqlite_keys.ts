import type { DatabaseSync, StatementSync } from "node:sqlite";
import { SqliteInserts } from "./sqlite_inserts.ts";
import { storedText } from "./sqlite_text.ts";
import { tableOfKey } from "./table_key.ts";

/** The least that is read of one key's entries at a time, where there are several keys. */
const MIN_CHUNK = 16;

/** A key and the entry that is found by it. */
export type KeyedSeq = readonly [key: string, seq: number];

/** Which entries are looked for. */
export interface KeyRange {
  /** Only entries behind this seq … */
  readonly after: number;
  /** … and up to this one. */
  readonly through: number;
  /** The most entries. */
  readonly limit: number;
}

/** What is known of one key's entries. */
interface Run {
  readonly statement: StatementSync;
  readonly key: string | number;
  /** Those that were read and not yet given. */
  seqs: number[];
  /** The last one that was read. */
  readTo: number;
  /** Whether there are no more. */
  ended: boolean;
}

/**
 * The entries of a SQLite log by their keys. A table's key is no row in `log_keys`: the log has an
 * index of its own for that, which is cheaper.
 */
export class SqliteKeys {
  readonly #inserts: SqliteInserts;
  readonly #ofKey: StatementSync;
  readonly #ofTable: StatementSync;

  constructor(db: DatabaseSync) {
    this.#inserts = new SqliteInserts(db, {
      columns: 2,
      sql: (values) => `INSERT INTO log_keys VALUES ${values}`,
    });
    this.#ofKey = db.prepare(
      "SELECT seq FROM log_keys WHERE key = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
    );
    this.#ofTable = db.prepare(
      `SELECT seq FROM log INDEXED BY log_table
       WHERE tbl = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
    );
  }

  /** Adds keys, within the caller's transaction. */
  add(keyed: readonly KeyedSeq[]): void {
    this.#inserts.begin();
    for (const [key, seq] of keyed) {
      this.#inserts.add(storedText(key));
      this.#inserts.add(seq);
    }
    this.#inserts.end();
  }

  /**
   * Finds the entries that have one of these keys.
   *
   * @param keys The keys.
   * @param range Where they are looked for.
   * @param tables The numbers of the tables by name.
   * @returns Their seqs in order, each once.
   */
  find(
    keys: readonly string[],
    range: KeyRange,
    tables: ReadonlyMap<string, number>,
  ): number[] {
    const { after, limit } = range;
    let runs = [...new Set(keys)].map((key) => this.#run(key, after, tables));
    const chunk = runs.length < 2 ? limit : Math.max(MIN_CHUNK, Math.ceil(2 * limit / runs.length));
    const found = new Set<number>();
    while (runs.length > 0 && found.size < limit) {
      // Up to the horizon all runs are known.
      let horizon = Infinity;
      for (const run of runs) {
        if (run.seqs.length === 0) this.#readOn(run, range.through, chunk);
        if (!run.ended) horizon = Math.min(horizon, run.readTo);
      }
      const next: number[] = [];
      for (const run of runs) {
        const beyond = run.seqs.findIndex((seq) => seq > horizon);
        next.push(...run.seqs.splice(0, beyond === -1 ? run.seqs.length : beyond));
      }
      for (const seq of next.sort((a, b) => a - b)) found.add(seq);
      runs = runs.filter(({ seqs, ended }) => seqs.length > 0 || !ended);
    }
    return [...found].slice(0, limit);
  }

  #run(key: string, after: number, tables: ReadonlyMap<string, number>): Run {
    const table = tableOfKey(key);
    const start = { seqs: [], readTo: after, ended: false };
    return table === undefined
      ? { statement: this.#ofKey, key: storedText(key), ...start }
      // No table has the number 0.
      : { statement: this.#ofTable, key: tables.get(table) ?? 0, ...start };
  }

  #readOn(run: Run, through: number, chunk: number): void {
    if (run.ended) return;
    const read = run.statement.all(run.key, run.readTo, through, chunk);
    run.seqs = (read as unknown as { seq: number }[]).map(({ seq }) => seq);
    run.readTo = run.seqs.at(-1) ?? run.readTo;
    run.ended = run.seqs.length < chunk;
  }
}
