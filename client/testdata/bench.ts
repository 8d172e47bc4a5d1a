import {
  boolean,
  type Column,
  type Columns,
  defineTable,
  type Delta,
  deltaId,
  type JsonValue,
  number,
  packHlc,
  type Result,
  type SqlDatabase,
  string,
  type Table,
  unwrapOrThrow,
} from "@lakesync/core";
import { FakeGateway, ManualClock, Prng } from "@lakesync/testing";
import { assert } from "@std/assert";
import { type Client, type ClientOptions, createClient, openSqlite } from "../mod.ts";

/** The table that most tests of this package use. */
export const todos: Table<"todos", {
  title: Column<string, string>;
  done: Column<boolean, boolean>;
  rank: Column<number, number, true>;
}> = defineTable("todos", { title: string(), done: boolean(), rank: number().nullable() });

/** The tables of {@linkcode todos}' clients. */
export type Todos = readonly [typeof todos];

/** A gateway, its clock, and clients that sync only when told to. */
export class Bench {
  readonly clock: ManualClock = new ManualClock();
  readonly gateway: FakeGateway;
  readonly #close: (() => Promise<void>)[] = [];
  #clients = 0;

  /** @param live Whether the gateway holds pulls. */
  constructor(live = false) {
    this.gateway = new FakeGateway({
      tables: [todos.schema],
      clock: this.clock,
      ...(live && { scheduler: this.clock }),
    });
  }

  /** A client on a database in memory, or on one that is open. */
  async client(options: Partial<ClientOptions<Todos>> = {}): Promise<Client<Todos>> {
    const client = unwrapOrThrow(
      await createClient({
        tables: [todos],
        database: ":memory:",
        transport: this.gateway,
        sync: { auto: false },
        clock: this.clock,
        scheduler: this.clock,
        random: new Prng(++this.#clients),
        ...options,
      }),
    );
    this.#close.push(() => client.close());
    return client;
  }

  /** A database that outlives its clients. */
  async database(): Promise<SqlDatabase> {
    const database = unwrapOrThrow(await openSqlite({ path: ":memory:" }));
    this.#close.unshift(() => database.close());
    return database;
  }

  /** Closes all of it. */
  async close(): Promise<void> {
    for (const close of this.#close.reverse()) await close();
  }
}

/** Runs a test's body with a bench. */
export async function withBench(
  body: (bench: Bench) => Promise<void>,
  options: { live?: boolean } = {},
): Promise<void> {
  const bench = new Bench(options.live);
  try {
    await body(bench);
  } finally {
    await bench.close();
  }
}

/** The code of an error; a success fails the test. */
export function codeOf(result: Result<unknown>): string {
  assert(!result.ok, "expected a failure");
  return result.error.code;
}

/** The app's rows of a table, by id. */
export async function rowsOf<T extends readonly Table<string, Columns>[]>(
  client: Client<T>,
  sql = "SELECT id, title, done, rank FROM todos ORDER BY id",
): Promise<unknown[]> {
  const rows = unwrapOrThrow(await client.query(sql));
  return rows.map((row) => Object.values(row));
}

/** A delta of another client. */
export function foreignDelta(
  delta: Partial<Omit<Delta, "columns">> & { columns?: { readonly [name: string]: JsonValue } },
): Delta {
  const content = {
    op: "INSERT" as const,
    table: "todos",
    rowId: "r",
    clientId: "other",
    hlc: packHlc({ wallMs: Date.UTC(2025, 0, 1), counter: 0 }),
    ...delta,
    columns: Object.entries(delta.columns ?? {}).map(([column, value]) => ({ column, value })),
  };
  return { ...content, deltaId: deltaId(content) };
}
