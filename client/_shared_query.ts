import { ok, type Result, type SqlRow } from "@lakesync/core";
import type { Changed } from "./_live_hub.ts";
import type { LiveContext, LiveTarget } from "./_live_queries.ts";
import { liveShape } from "./_live_shape.ts";
import { LiveView } from "./_live_view.ts";
import type { LiveSubscriber, RowChanges } from "./live_query.ts";
import { nextResult } from "./_row_changes.ts";

/** A subscriber, and whether it has had a result. */
interface Entry {
  readonly subscriber: LiveSubscriber;
  served: boolean;
}

/** Runs a query for all of its subscribers: at first and after each change that matters, never twice at once. */
export class SharedQuery {
  readonly #context: LiveContext;
  readonly #target: LiveTarget;
  readonly #entries: Set<Entry> = new Set();
  readonly #unwatch: () => void;
  readonly #ended: () => void;
  readonly #table: string | undefined;
  readonly #view: LiveView | undefined;
  #reads: ReadonlySet<string> | undefined;
  #rows: SqlRow[] | undefined;
  #running = false;
  #stopped: boolean;
  // What changed since the last run: undefined stands for any row.
  #dirty = true;
  #touched: Set<string> | undefined;

  /** @param ended Told when the last subscriber has gone or the client was closed. */
  constructor(context: LiveContext, target: LiveTarget, ended: () => void) {
    this.#context = context;
    this.#target = target;
    this.#ended = ended;
    const { database, hub, tables } = context;
    const shape = liveShape(target.sql, target.params, tables);
    if (shape !== undefined) {
      this.#table = shape.table;
      this.#reads = new Set([shape.table]);
      this.#view = new LiveView(database, shape, target.params);
    }
    this.#stopped = hub.closed;
    this.#unwatch = hub.watch((changed) => this.#changed(changed), () => this.#close());
  }

  /** The newest result. */
  get current(): readonly SqlRow[] | undefined {
    return this.#rows;
  }

  /** Adds a subscriber; the first result comes in a turn of its own. Returns how to remove it. */
  add(subscriber: LiveSubscriber): () => void {
    const entry: Entry = { subscriber, served: false };
    this.#entries.add(entry);
    // One that failed is tried again.
    if (this.#rows === undefined && !this.#running) this.#dirty = true;
    if (this.#stopped) subscriber.end();
    else void this.#run();
    return () => {
      this.#entries.delete(entry);
      if (this.#entries.size === 0) this.#close();
    };
  }

  #changed(changed: Changed): void {
    // Until it is known what the query reads, everything counts.
    if (this.#reads !== undefined && !intersects(this.#reads, changed)) return;
    const rows = this.#table === undefined ? undefined : changed.get(this.#table);
    if (!this.#dirty) this.#touched = rows && new Set(rows);
    else if (rows === undefined) this.#touched = undefined;
    else if (this.#touched !== undefined) { for (const row of rows) this.#touched.add(row); }
    this.#dirty = true;
    void this.#run();
  }

  #close(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#unwatch();
    this.#ended();
    this.#rows = undefined;
    for (const { subscriber } of this.#entries) subscriber.end();
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    // What changes within one turn of the event loop is answered by one run.
    await Promise.resolve();
    while (!this.#stopped) {
      if (!this.#dirty) {
        // Who came when there was nothing to run.
        if (this.#rows === undefined || [...this.#entries].every(({ served }) => served)) break;
        this.#deliver(undefined);
        continue;
      }
      this.#dirty = false;
      const touched = this.#touched;
      this.#touched = undefined;
      const result = await this.#read(touched);
      if (this.#stopped) break;
      if (result.ok) this.#deliver(result.value);
      else if (result.error.code !== "CLOSED") {
        for (const { subscriber } of [...this.#entries]) subscriber.error(result.error);
      }
    }
    this.#running = false;
  }

  async #read(touched: ReadonlySet<string> | undefined): Promise<Result<SqlRow[] | undefined>> {
    const { database } = this.#context;
    const { sql, params } = this.#target;
    if (this.#view?.tooLarge === false) return await this.#view.refresh(touched);
    if (this.#reads === undefined) {
      const tables = await database.tablesOf(sql);
      if (tables.ok) this.#reads = new Set(tables.value);
    }
    const rows = await database.query(sql, params);
    return rows.ok ? ok(rows.value) : rows;
  }

  /** Tells the result, where it is not as before, and to those who have had none yet. */
  #deliver(read: SqlRow[] | undefined): void {
    const before = this.#rows;
    let changes: RowChanges<SqlRow> | undefined;
    if (read !== undefined) {
      const next = nextResult(before ?? [], read);
      changes = next.changes;
      if (changes !== undefined || before === undefined) this.#rows = next.rows;
    }
    const rows = this.#rows!;
    for (const entry of [...this.#entries]) {
      if (entry.served && changes === undefined) continue;
      const told = entry.served ? changes! : { added: rows, changed: [], removed: [] };
      entry.served = true;
      try {
        entry.subscriber.rows(rows, told);
      } catch (thrown) {
        this.#context.threw(thrown);
      }
    }
  }
}

function intersects(reads: ReadonlySet<string>, changed: Changed): boolean {
  for (const table of changed.keys()) if (reads.has(table)) return true;
  return false;
}
