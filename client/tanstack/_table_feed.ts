import { err, LakeSyncError, ok, type Result, type RowOf, type Table } from "@lakesync/core";
import type { Client } from "../client.ts";
import { inspectedOf } from "../_inspected.ts";
import type { Changed } from "../_live_hub.ts";
import { type LocalTable, localTable, wireRow } from "../_local_table.ts";
import { appRowOf } from "../_write_session.ts";

/** What has become of a table's rows. */
export interface FeedChanges<T extends Table> {
  /** Rows that were not there before. */
  readonly added: readonly RowOf<T>[];
  /** Rows that were there, and may have changed. */
  readonly changed: readonly RowOf<T>[];
  /** The ids of rows that are gone. */
  readonly removed: readonly string[];
}

/** Who is told. */
export interface FeedListener<T extends Table> {
  /** At first all rows, then after each change those that it touched. */
  changes(changes: FeedChanges<T>): void;
  /** The rows could not be read; those that are still missing come with the next change. */
  failed(error: LakeSyncError): void;
}

/**
 * Follows all rows of a table as the app reads them. After a change it reads the rows that were
 * touched, and no others.
 */
export class TableFeed<T extends Table> {
  readonly #client: Client;
  readonly #table: LocalTable;
  readonly #listener: FeedListener<T>;
  readonly #known: Set<string> = new Set();
  readonly #unwatch: () => void;
  /** What is still to be read; undefined stands for all rows. */
  #touched: Set<string> | undefined;
  #stopped = false;
  #running: Promise<void> | undefined;

  /** Begins to follow. Throws a `TypeError` where the client is none of `createClient`. */
  constructor(client: Client, table: T, listener: FeedListener<T>) {
    const inspected = inspectedOf(client);
    if (inspected === undefined) {
      throw new TypeError("Cannot follow a table: the client was not made by createClient");
    }
    this.#client = client;
    this.#table = localTable(table);
    this.#listener = listener;
    this.#unwatch = inspected.watch((changed) => this.#changed(changed), () => this.stop());
    this.#run();
  }

  /** Resolves when the listener has been told of all that has changed until now. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Ends it. */
  stop(): void {
    this.#stopped = true;
    this.#unwatch();
  }

  #changed(changed: Changed): void {
    if (!changed.has(this.#table.name)) return;
    const rows = changed.get(this.#table.name);
    if (rows === undefined) this.#touched = undefined;
    else if (this.#touched !== undefined) { for (const id of rows) this.#touched.add(id); }
    this.#run();
  }

  #run(): void {
    this.#running ??= this.#follow();
  }

  async #follow(): Promise<void> {
    // What changes within one turn of the event loop is read at once.
    await Promise.resolve();
    try {
      while (!this.#stopped && (this.#touched === undefined || this.#touched.size > 0)) {
        if (!await this.#step()) break;
      }
    } finally {
      this.#running = undefined;
    }
  }

  /** Reads what was touched, and tells of it; whether it could. */
  async #step(): Promise<boolean> {
    const touched = this.#touched;
    this.#touched = new Set();
    const rows = await this.#read(touched);
    if (this.#stopped) return false;
    if (rows.ok) {
      this.#tell(rows.value, touched ?? new Set(this.#known));
      return true;
    }
    // It is read with the next change.
    if (touched === undefined) this.#touched = undefined;
    else for (const id of touched) this.#touched?.add(id);
    this.#listener.failed(rows.error);
    return false;
  }

  async #read(touched: ReadonlySet<string> | undefined): Promise<Result<RowOf<T>[]>> {
    const { readAll } = this.#table;
    const rows = touched === undefined
      ? await this.#client.query(readAll)
      : await this.#client.query(
        `${readAll} WHERE id IN (SELECT value FROM json_each(?))`,
        [JSON.stringify([...touched])],
      );
    if (!rows.ok) return err(rows.error);
    // They have the columns of T, which the compiler cannot follow.
    return ok(
      rows.value.map((row) =>
        appRowOf(this.#table, String(row.id), wireRow(this.#table, row)) as RowOf<T>
      ),
    );
  }

  #tell(rows: readonly RowOf<T>[], touched: ReadonlySet<string>): void {
    const added: RowOf<T>[] = [];
    const changed: RowOf<T>[] = [];
    const gone = new Set(touched);
    for (const row of rows) {
      gone.delete(row.id);
      (this.#known.has(row.id) ? changed : added).push(row);
      this.#known.add(row.id);
    }
    const removed = [...gone].filter((id) => this.#known.delete(id));
    this.#listener.changes({ added, changed, removed });
  }
}
