/** What a page of the tests of tabs has: `globalThis.tab`, which the test calls. */
import { type Client, createClient } from "@lakesync/client";
import {
  boolean,
  type Column,
  defineTable,
  integer,
  type Logger,
  string,
  type Table,
  unwrapOrThrow,
} from "@lakesync/core";

type Todos = Table<"todos", {
  title: Column<string, string>;
  n: Column<number, number | bigint>;
  done: Column<boolean, boolean>;
}>;

const columns = { title: string(), n: integer(), done: boolean() };

/** How a test opens a client. */
interface OpenOptions {
  readonly database: string;
  readonly url?: string;
  readonly gateway?: string;
  readonly token?: string;
  readonly auto?: boolean;
  /** The app's version: 2 has a column more, 3 has it with another type. */
  readonly version?: 1 | 2 | 3;
  /** A worker that is not the package's. */
  readonly worker?: string;
}

const logged: string[] = [];
const logger: Logger = {
  log: (level, event, facts) => logged.push(`${level} ${event} ${JSON.stringify(facts)}`),
};

let client: Client<readonly [Todos]> | undefined;

function tableOf(version: 1 | 2 | 3): Todos {
  if (version === 1) return defineTable("todos", columns);
  const note = version === 2 ? string().nullable() : integer().nullable();
  return defineTable("todos", { ...columns, note }, { version }) as unknown as Todos;
}

function theClient(): Client<readonly [Todos]> {
  if (client === undefined) throw new Error("open first");
  return client;
}

/** What a test calls. */
export interface TabApi {
  readonly logged: readonly string[];
  readonly client: Client<readonly [Todos]>;
  /** The error, or undefined. */
  open(options: OpenOptions): Promise<string | undefined>;
  /** The error, or undefined. */
  insert(id: string, n: number): Promise<string | undefined>;
  query(sql: string): Promise<unknown[][]>;
  /** Resolves when a query gives this. */
  shows(sql: string, expected: unknown): Promise<void>;
  close(): Promise<void>;
}

const tab: TabApi = {
  logged,
  async open(options: OpenOptions): Promise<string | undefined> {
    const { database, url, gateway, token, auto, version = 1, worker } = options;
    const opened = await createClient({
      tables: [tableOf(version)],
      database,
      logger,
      ...(url !== undefined && { url }),
      ...(gateway !== undefined && { gateway }),
      ...(token !== undefined && { getToken: () => token }),
      ...(auto !== undefined && { sync: { auto } }),
      ...(worker !== undefined && { worker: () => new Worker(worker, { type: "module" }) }),
    });
    if (!opened.ok) return `${opened.error.code}: ${opened.error.message}`;
    client = opened.value;
    return undefined;
  },
  get client(): Client<readonly [Todos]> {
    return theClient();
  },
  async insert(id: string, n: number): Promise<string | undefined> {
    const done = await theClient().tables.todos.insert({ id, title: `todo ${id}`, n, done: false });
    return done.ok ? undefined : `${done.error.code}: ${done.error.message}`;
  },
  async query(sql: string): Promise<unknown[][]> {
    return unwrapOrThrow(await theClient().query(sql)).map((row) => Object.values(row));
  },
  async shows(sql: string, expected: unknown): Promise<void> {
    for await (const rows of theClient().live(sql)) {
      if (JSON.stringify(rows.map((row) => Object.values(row))) === JSON.stringify(expected)) {
        return;
      }
    }
    throw new Error(`The client has ended before "${sql}" gave it`);
  },
  async close(): Promise<void> {
    await theClient().close();
  },
};

(globalThis as unknown as { tab: TabApi }).tab = tab;
