/** The page of the benchmark `browser`: an app of 100,000 rows. */
import { type Client, createClient } from "@lakesync/client";
import {
  boolean,
  type Column,
  defineTable,
  integer,
  string,
  type Table,
  unwrapOrThrow,
} from "@lakesync/core";

const todos: Table<"todos", {
  readonly title: Column<string, string>;
  readonly done: Column<boolean, boolean>;
  readonly n: Column<number, number | bigint>;
}> = defineTable("todos", { title: string(), done: boolean(), n: integer() });

const VIEW = "SELECT id, title, n FROM todos ORDER BY id DESC LIMIT 50";

/** What the benchmark calls in its page. */
export interface BrowserPage {
  /** The first sync of a new database: seconds. */
  firstSync(url: string, database: string, rows: number): Promise<number>;
  /** Opens a database: milliseconds until a query has its first result. */
  open(database: string): Promise<number>;
  /** Writes so often: milliseconds from each call until a live query shows it. */
  writes(count: number): Promise<number[]>;
  /** Inserts rows into a bare table of SQLite in memory, in a worker: seconds. */
  bare(rows: number): Promise<number>;
  /** Ends the client. */
  close(): Promise<void>;
}

let client: Client<readonly [typeof todos]> | undefined;
let writes = 0;

const page: BrowserPage = {
  async firstSync(url, database, rows) {
    client = unwrapOrThrow(
      await createClient({ tables: [todos], database, url, sync: { auto: false } }),
    );
    const start = performance.now();
    unwrapOrThrow(await client.syncOnce());
    const seconds = (performance.now() - start) / 1000;
    const [count] = unwrapOrThrow(await client.query("SELECT count(*) AS n FROM todos"));
    if (count?.n !== rows) throw new Error(`The client has ${count?.n} of ${rows} rows`);
    return seconds;
  },
  async open(database) {
    const start = performance.now();
    client = unwrapOrThrow(await createClient({ tables: [todos], database }));
    const shown = unwrapOrThrow(await client.query(VIEW));
    const ms = performance.now() - start;
    if (shown.length !== 50) throw new Error("The database is empty");
    return ms;
  },
  async writes(count) {
    const times: number[] = [];
    let seen: (id: unknown) => void = () => {};
    const end = client!.live(VIEW).subscribe(([first]) => seen(first?.id));
    for (let i = 0; i < count; i++) {
      // Behind all UUIDs, so that the view's first row it is.
      const id = `z${String(writes++).padStart(8, "0")}`;
      const shown = new Promise<void>((resolve) => {
        seen = (first) => first === id && resolve();
      });
      const start = performance.now();
      const written = client!.tables.todos.insert({ id, title: `Task ${i}`, done: false, n: i });
      await shown;
      times.push(performance.now() - start);
      unwrapOrThrow(await written);
    }
    end();
    return times;
  },
  bare(rows) {
    const worker = new Worker(new URL("./browser_bare_browser.ts", import.meta.url), {
      type: "module",
    });
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        worker.terminate();
        resolve(data);
      };
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(rows);
    });
  },
  async close() {
    await client?.close();
    client = undefined;
  },
};

Object.assign(globalThis, { page });
