// What tests of sources of rows run against.
import { bigqueryServer } from "@lakesync/adapter-bigquery";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import type { SqlSource } from "@lakesync/adapter-sources";
import {
  defineTable,
  type Result,
  type SourceBatch,
  type SqlServer,
  string,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { type BigQueryEmulator, startBigQuery } from "../bigquery_emulator.ts";
import { findMariadb, startMariadb } from "../mariadb_server.ts";
import { findPostgres, startPostgres } from "../postgres_server.ts";
import { withTempDir } from "../temp.ts";
import { test } from "../test.ts";
import type { WatchedServer } from "../watched_server.ts";

/** A database that is made anew for a test. */
export interface Database {
  readonly open: () => Promise<Result<SqlServer>>;
  /** Makes the table `orders`. */
  readonly orders: string;
  /** Its rows with their keys as texts, where those have to be texts. */
  readonly query: string;
  /** Runs statements in a transaction. */
  run(...texts: string[]): Promise<void>;
  /** Puts many rows into the table `orders`, by what the database takes many rows by. */
  insert(rows: readonly (readonly [id: number, item: string])[]): Promise<void>;
  close(): Promise<void>;
}

async function databaseOf(
  create: (admin: SqlServer, name: string) => Promise<() => Promise<Result<SqlServer>>>,
  admin: SqlServer,
): Promise<Database> {
  const open = await create(admin, `s${++count}`);
  await admin.close();
  const server = unwrapOrThrow(await open());
  return {
    open,
    orders: "CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(50), v BIGINT)",
    query: "SELECT * FROM orders",
    async run(...texts) {
      unwrapOrThrow(
        await server.transaction(async (work) => {
          for (const text of texts) await work.run({ text, parameters: [] });
        }),
      );
    },
    async insert(rows) {
      const columns = [
        { name: "id", type: "integer" },
        { name: "item", type: "string" },
        { name: "v", type: "integer" },
      ] as const;
      const write = { table: "orders", columns, rows: rows.map((row) => [...row, 1]) };
      unwrapOrThrow(
        await server.transaction(async (work) => {
          for (const statement of server.dialect.write(write)) await work.run(statement);
        }),
      );
    },
    close: () => server.close(),
  };
}

let count = 0;
let postgres: WatchedServer | undefined;
let mariadb: WatchedServer | undefined;
let bigquery: BigQueryEmulator | undefined;
const { bin, skip: noPostgres } = await findPostgres();
const { programs, skip: noMariadb } = await findMariadb();

/** What makes databases of a kind. */
export interface DatabaseMaker {
  readonly name: string;
  readonly skip: string | undefined;
  make(): Promise<Database>;
}

/** The server of all databases in Postgres. */
export async function postgresOfAll(): Promise<WatchedServer> {
  return postgres ??= await startPostgres({ bin: bin! });
}

export const POSTGRES: DatabaseMaker = {
  name: "Postgres",
  skip: noPostgres,
  async make() {
    const { url } = await postgresOfAll();
    const admin = unwrapOrThrow(await postgresServer({ url }));
    return await databaseOf(
      (_, schema) => Promise.resolve(() => postgresServer({ url, schema })),
      admin,
    );
  },
};

export const MARIADB: DatabaseMaker = {
  name: "MariaDB",
  skip: noMariadb,
  async make() {
    mariadb ??= await startMariadb({ programs: programs! });
    const { url } = mariadb;
    const admin = unwrapOrThrow(await mysqlServer({ url }));
    return await databaseOf(async (server, name) => {
      const text = `CREATE DATABASE ${name} CHARACTER SET utf8mb4`;
      unwrapOrThrow(await server.transaction((work) => work.run({ text, parameters: [] })));
      return () => mysqlServer({ url: new URL(name, url).href });
    }, admin);
  },
};

/** It compares no number with a text. */
export const BIGQUERY: DatabaseMaker = {
  name: "BigQuery",
  skip: undefined,
  async make() {
    bigquery ??= await startBigQuery();
    const { endpoint, credentials } = bigquery;
    const dataset = `s${++count}`;
    await bigquery.makeDataset(dataset);
    const open = () => bigqueryServer({ endpoint, credentials, dataset });
    return {
      ...await databaseOf(() => Promise.resolve(open), unwrapOrThrow(await open())),
      orders: "CREATE TABLE orders (id INT64, item STRING, v INT64)",
      query: "SELECT CAST(id AS STRING) AS id, item, v FROM orders",
    };
  },
};

/** Registers a test for each kind of database. */
export function testEach(
  title: string,
  body: (database: Database, dir: string) => Promise<void>,
  { of = [POSTGRES, MARIADB] }: { of?: readonly DatabaseMaker[] } = {},
): void {
  for (const { name, skip, make } of of) {
    test(
      { name: `${title} (${name})`, skip, timeoutMs: 180_000 },
      () =>
        withTempDir(async (dir) => {
          const database = await make();
          try {
            await body(database, dir);
          } finally {
            await database.close();
          }
        }),
    );
  }
}

/** Reads a source to its end, as a gateway does: `+key=item` and `-key`. */
export async function read(
  source: SqlSource,
  cursor: string | undefined,
): Promise<{ found: string[]; cursor: string | undefined; batches: SourceBatch[] }> {
  const found: string[] = [];
  const batches: SourceBatch[] = [];
  let at = cursor;
  for await (const batch of source.read({ cursor: source.resume(cursor) })) {
    const { changes, cursor } = unwrapOrThrow(batch);
    for (const { op, rowId, columns } of changes) {
      found.push(op === "delete" ? `-${rowId}` : `+${rowId}=${columns.get("item")}`);
    }
    batches.push({ changes, cursor });
    at = cursor;
  }
  return { found, cursor: at, batches };
}

/** What a source fails with. */
export async function fails(source: SqlSource, cursor?: string): Promise<string> {
  for await (const batch of source.read({ cursor })) {
    if (!batch.ok) return `${batch.error.code} ${batch.error.message}`;
  }
  return "nothing failed";
}

/** The table that rows of `orders` go to. */
export const orders: TableSchema = defineTable("orders", { item: string() }).schema;
