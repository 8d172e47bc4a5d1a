// A gateway's databases from end to end: a real client, real HTTP, real servers.
import { join } from "node:path";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import { createClient } from "@lakesync/client";
import {
  defineTable,
  integer,
  type Result,
  type SqlServer,
  string,
  unwrapOrThrow,
} from "@lakesync/core";
import {
  findMariadb,
  findPostgres,
  startMariadb,
  startPostgres,
  test,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { type DestinationFactory, mysql, parseDestinations, postgres } from "./databases.ts";
import { startServer } from "./server.ts";

const todos = defineTable("todos", { title: string(), n: integer() });
const { bin, skip } = await findPostgres();
const maria = await findMariadb();

/** A database server that a test may kill. */
interface KillableServer {
  kill(): Promise<void>;
  start(): Promise<void>;
}

async function checkDestination(options: {
  readonly server: KillableServer;
  readonly factory: DestinationFactory;
  readonly connect: () => Promise<Result<SqlServer>>;
}): Promise<void> {
  const { server, factory, connect } = options;
  await withTempDir(async (data) => {
    const start = async () =>
      unwrapOrThrow(
        await startServer({ data, tables: [todos.schema], destinations: { db: factory } }),
      );
    let gateway = await start();
    const client = unwrapOrThrow(
      await createClient({
        tables: [todos],
        database: join(data, "client.db"),
        url: gateway.url,
        clientId: "alice",
        sync: { auto: false },
      }),
    );
    for (let i = 0; i < 3; i++) {
      unwrapOrThrow(await client.tables.todos.insert({ id: `r${i}`, title: `Todo ${i}`, n: i }));
    }
    unwrapOrThrow(await client.syncOnce());
    const flush = async () => {
      const { deltas } = unwrapOrThrow(await gateway.gateways[0]!.flush({ waitMs: 60_000 }));
      const { destinations } = unwrapOrThrow(await gateway.gateways[0]!.stats());
      return [deltas, destinations["db"]?.lag, destinations["db"]?.error?.code];
    };
    assertEquals(await flush(), [6, 0, undefined]);

    // The database is gone: the lake goes on, the stats say why, nothing is lost.
    await server.kill();
    unwrapOrThrow(await client.tables.todos.update("r0", { title: "Changed" }));
    unwrapOrThrow(await client.tables.todos.delete("r1"));
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await flush(), [2, 2, "OFFLINE"]);
    await server.start();
    assertEquals(await flush(), [2, 0, undefined]);
    await client.close();
    await gateway.stop();

    const database = unwrapOrThrow(await connect());
    const rows = async () =>
      unwrapOrThrow(
        await database.transaction((work) =>
          work.run({ text: "SELECT id, title, n FROM todos ORDER BY id", parameters: [] })
        ),
      );
    assertEquals(await rows(), [["r0", "Changed", "0"], ["r2", "Todo 2", "2"]]);
    gateway = await start();
    assertEquals(await flush(), [0, 0, undefined]);
    await gateway.stop();
    assertEquals((await rows()).length, 2);
    await database.close();
  });
}

test({
  name: "a gateway flushes to Postgres, through the server's death, and keeps tables there",
  skip,
}, async () => {
  await using server = await startPostgres({ bin: bin! });
  const { url } = server;
  await checkDestination({
    server,
    factory: postgres({ url, materialise: true }),
    connect: () => postgresServer({ url }),
  });
});

test({
  name: "a gateway flushes to MariaDB, through the server's death, and keeps tables there",
  skip: maria.skip,
}, async () => {
  await using server = await startMariadb({ programs: maria.programs! });
  const root = unwrapOrThrow(await mysqlServer({ url: server.url }));
  const text = "CREATE DATABASE lake_default";
  unwrapOrThrow(await root.transaction((work) => work.run({ text, parameters: [] })));
  await root.close();
  const url = (name: string) => server.url.replace(/mysql$/, name);
  await checkDestination({
    server,
    factory: mysql({ url: url("lake_{gateway}"), materialise: true }),
    connect: () => mysqlServer({ url: url("lake_default") }),
  });
});

test("destinations of a configuration are checked, and faults name the path", async () => {
  const faults = [
    [[], "destinations is not an object of names and destinations"],
    [{ "a b": postgres({ url: "" }) }, 'destinations: "a b" is no identifier'],
    [{ lake: postgres({ url: "" }) }, "destinations.lake: that is the lake's name, take another"],
    [
      { pg: "postgres://" },
      "destinations.pg is no destination, make it with postgres(), mysql(), bigquery() or iceberg()",
    ],
  ] as const;
  for (const [value, message] of faults) {
    const parsed = parseDestinations(value);
    assertEquals(parsed.ok || [parsed.error.code, parsed.error.message], [
      "VALIDATION_ERROR",
      message,
    ]);
  }
  await withTempDir(async (data) => {
    const destinations = { pg: postgres({ url: "mysql://nowhere" }) };
    const started = await startServer({ data, destinations });
    assert(!started.ok);
    assert(started.error.message.startsWith("destinations.pg: The URL of the Postgres database"));
  });
});
