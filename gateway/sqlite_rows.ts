import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RowState } from "@lakesync/core";
import { rowFromJson, rowToJson } from "./row_json.ts";
import { RowMap } from "./row_map.ts";
import { SqliteInserts } from "./sqlite_inserts.ts";
import { storedText } from "./sqlite_text.ts";

/** A row that is not yet in the table. */
export interface DirtyRow {
  /** The number of the row's table. */
  readonly tbl: number;
  /** The row's key. */
  readonly rowId: string;
  /** Its state; never changed in place. */
  readonly state: RowState;
  /** The seq of its last entry, or one above it within the same commit. */
  readonly seq: number;
}

/**
 * A row as a generation keeps it: as the text that its table will have. One flat text is a fraction
 * of a state's size, and nothing for the garbage collector to walk through.
 */
export interface KeptRow {
  /** The number of the row's table. */
  readonly tbl: number;
  /** The row's key. */
  readonly rowId: string;
  /** Whether it is alive, as 0 or 1; null without life. */
  readonly alive: number | null;
  /** Its state, see `rowToJson`. */
  readonly text: string;
  /** The seq of its last entry, or one above it within the same commit. */
  readonly seq: number;
}

/** A generation is closed at so many rows … */
const MAX_ROWS = 65_536;
/** … so many characters of their states … */
const MAX_CHARS = 32 * 2 ** 20;
/** … or behind so many entries, which is also what a restart replays at the most (twice). */
const MAX_ENTRIES = 131_072;
/** The least that one commit folds while a generation is being folded. */
const MIN_STEP = 256;

/**
 * The merged rows of a SQLite log. The log alone makes an append durable; rows are collected in
 * memory and folded into their table in the order of its key, in small steps that ride on later
 * commits. So each page of the table is written once for many rows, not once for each. What was not
 * folded when a process ends is replayed from the log: `folded` in `meta` says from where.
 */
export class SqliteRows {
  readonly #select: StatementSync;
  readonly #upserts: SqliteInserts;
  readonly #setFolded: StatementSync;
  #active = new RowMap<number, KeptRow>();
  #activeChars = 0;
  /** The closed generation, and in key order what of it is to be folded and how far that is. */
  #closed: { rows: RowMap<number, KeptRow>; order: KeptRow[]; done: number; through: number };
  /** Where the active generation began. */
  #activeFrom: number;

  constructor(db: DatabaseSync, folded: number) {
    this.#select = db.prepare("SELECT state FROM rows WHERE tbl = ? AND row_id = ?");
    this.#upserts = new SqliteInserts(db, { columns: 5, sql: upsertRows });
    this.#setFolded = db.prepare("UPDATE meta SET value = ? WHERE key = 'folded'");
    this.#closed = { rows: new RowMap(), order: [], done: 0, through: folded };
    this.#activeFrom = folded;
  }

  /** A row's state, or undefined. Not to be changed. */
  get(tbl: number, rowId: string): RowState | undefined {
    const dirty = this.#active.get(tbl, rowId) ?? this.#closed.rows.get(tbl, rowId);
    if (dirty !== undefined) return rowFromJson(dirty.text);
    const row = this.#select.get(tbl, storedText(rowId)) as { state: string } | undefined;
    return row === undefined ? undefined : rowFromJson(row.state);
  }

  /** Takes over rows whose entries are committed, up to this seq. */
  put(rows: Iterable<DirtyRow>, seq: number): void {
    for (const { tbl, rowId, state, seq } of rows) {
      const alive = state.life === undefined ? null : Number(state.life.alive);
      const text = rowToJson(state);
      this.#active.set(tbl, rowId, { tbl, rowId, alive, text, seq });
      // Rows that are replaced count twice: it is a bound, no account.
      this.#activeChars += text.length;
    }
    const full = this.#active.size >= MAX_ROWS || this.#activeChars >= MAX_CHARS ||
      seq - this.#activeFrom >= MAX_ENTRIES;
    if (full && this.#closed.done === this.#closed.order.length) this.#close(seq);
  }

  #close(seq: number): void {
    // Any order that keeps neighbours together does. This one, of UTF-16 units, is the fastest.
    const order = this.#active.tables().sort((a, b) => a - b).flatMap((tbl) => {
      const rows = this.#active.of(tbl);
      return [...rows.keys()].sort().map((rowId) => rows.get(rowId)!);
    });
    this.#closed = { rows: this.#active, order, done: 0, through: seq };
    this.#active = new RowMap();
    this.#activeChars = 0;
    this.#activeFrom = seq;
  }

  /**
   * Folds some rows within the caller's transaction.
   *
   * @param entries How many entries that transaction appends: the step keeps pace with them.
   * @returns To be called once the transaction is committed.
   */
  foldStep(entries: number): () => void {
    const closed = this.#closed;
    if (closed.done === closed.order.length) return () => {};
    // Twice the pace of the appends, so that a generation is folded before the next is full.
    const end = Math.min(closed.order.length, closed.done + Math.max(MIN_STEP, 2 * entries));
    this.#fold(closed.order.slice(closed.done, end));
    if (end === closed.order.length) this.#setFolded.run(String(closed.through));
    return () => {
      closed.done = end;
      if (end < closed.order.length) return;
      // The rows stay, as a cache, until the next generation takes their place.
      closed.order = [];
      closed.done = 0;
    };
  }

  /**
   * Folds everything within the caller's transaction.
   *
   * @param seq The head.
   * @returns To be called once the transaction is committed.
   */
  foldAll(seq: number): () => void {
    this.#fold(this.#closed.order.slice(this.#closed.done));
    this.#fold([...this.#active.values()]);
    this.#setFolded.run(String(seq));
    return () => {
      this.#closed = { rows: new RowMap(), order: [], done: 0, through: seq };
      this.#active = new RowMap();
      this.#activeChars = 0;
      this.#activeFrom = seq;
    };
  }

  #fold(rows: readonly KeptRow[]): void {
    const upserts = this.#upserts;
    upserts.begin();
    for (const { tbl, rowId, alive, text, seq } of rows) {
      upserts.add(tbl);
      upserts.add(storedText(rowId));
      upserts.add(alive);
      upserts.add(seq);
      upserts.add(text);
    }
    upserts.end();
  }

  /** The rows that are newer than the table: for snapshots. */
  dirty(): RowMap<number, KeptRow> {
    const dirty = new RowMap<number, KeptRow>();
    for (const row of this.#closed.rows.values()) dirty.set(row.tbl, row.rowId, row);
    for (const row of this.#active.values()) dirty.set(row.tbl, row.rowId, row);
    return dirty;
  }
}

function upsertRows(values: string): string {
  return `INSERT INTO rows (tbl, row_id, alive, seq, state) VALUES ${values}
    ON CONFLICT DO UPDATE SET alive = excluded.alive, seq = excluded.seq, state = excluded.state`;
}
