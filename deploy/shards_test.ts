// A gateway whose tables have several logs, and clients that notice nothing of it.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Client, createClient, httpTransport, webSocketTransport } from "@lakesync/client";
import { defineTable, string, type SyncTransport, unwrapOrThrow } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { gatewayPaths } from "./gateway_paths.ts";
import { type RunningServer, type ServerOptions, startServer } from "./server.ts";

const orders = defineTable("orders", { item: string() });
const notes = defineTable("notes", { text: string() });
const tables = [orders.schema, notes.schema];
const shards = [{ name: "orders", tables: ["orders"] }];

type Shop = Client<readonly [typeof orders, typeof notes]>;

const openClient = async (transport: SyncTransport, auto: boolean): Promise<Shop> =>
  unwrapOrThrow(
    await createClient({
      tables: [orders, notes],
      database: ":memory:",
      transport,
      sync: { auto },
    }),
  );

/** Resolves when a client's query gives this. */
async function shows(client: Shop, sql: string, expected: readonly unknown[]): Promise<void> {
  for await (const rows of client.live(sql)) {
    const shown = rows.map((row) => Object.values(row)[0]);
    if (JSON.stringify(shown) === JSON.stringify(expected)) return;
  }
}

const ITEMS = "SELECT item FROM orders ORDER BY item";
const TEXTS = "SELECT text FROM notes ORDER BY text";

async function columnOf(client: Shop, sql: string): Promise<unknown[]> {
  return unwrapOrThrow(await client.query(sql)).map((row) => Object.values(row)[0]);
}

test("clients of a sharded gateway converge over HTTP and WebSocket, through a restart and a 410", () =>
  withTempDir(async (data) => {
    const options: ServerOptions = { data, tables, shards };
    let server: RunningServer = unwrapOrThrow(await startServer(options));
    const { url } = server;
    const stats = async () => await (await fetch(`${url}/v1/admin/default/stats`)).json();
    const asking = await openClient(httpTransport({ url }), false);
    const listening = await openClient(webSocketTransport({ url }), true);

    // A transaction within a shard arrives as one.
    unwrapOrThrow(
      await asking.transaction(async ({ tables }) => {
        await tables.orders.insert({ item: "a" });
        await tables.orders.insert({ item: "b" });
      }),
    );
    unwrapOrThrow(await asking.tables.notes.insert({ text: "n" }));
    assertEquals(unwrapOrThrow(await asking.syncOnce()).pushed, 3);
    await shows(listening, ITEMS, ["a", "b"]);
    await shows(listening, TEXTS, ["n"]);
    assertEquals((await stats()).head, { "default.orders": 2, default: 1 });

    // One over two shards is rejected, and undone.
    unwrapOrThrow(
      await asking.transaction(async ({ tables }) => {
        await tables.orders.insert({ item: "c" });
        await tables.notes.insert({ text: "c" });
      }),
    );
    assertEquals(unwrapOrThrow(await asking.syncOnce()).rejected, 2);
    const letters = unwrapOrThrow(await asking.rejected.list());
    assertEquals(letters.map(({ code }) => code), ["TX_REJECTED", "TX_REJECTED"]);
    assertEquals([await columnOf(asking, ITEMS), await columnOf(asking, TEXTS)], [["a", "b"], [
      "n",
    ]]);

    // What is written while it is away goes up when it is back, to both logs.
    await server.stop();
    unwrapOrThrow(await listening.tables.orders.insert({ item: "d" }));
    unwrapOrThrow(await listening.tables.notes.insert({ text: "o" }));
    server = unwrapOrThrow(await startServer({ ...options, port: Number(new URL(url).port) }));
    listening.resume();
    while (unwrapOrThrow(await listening.pending()) > 0) await listening.syncOnce();
    const back = unwrapOrThrow(await asking.syncOnce());
    assertEquals([back.pulled, back.checkpointRows], [2, 0], "its cursor is good after a restart");
    assertEquals([await columnOf(asking, ITEMS), await columnOf(asking, TEXTS)], [
      ["a", "b", "d"],
      ["n", "o"],
    ]);

    // Rules that hide rows of a shard: 410, a checkpoint, and what waited to go up still goes.
    unwrapOrThrow(await asking.tables.orders.insert({ item: "a" }));
    const filters = [{ column: "item", op: "eq", value: "a" }];
    const rules = {
      version: 1,
      buckets: [{ name: "a", tables: ["orders"], filters }, {
        name: "notes",
        tables: ["notes"],
        filters: [],
      }],
    };
    const put = await fetch(`${url}/v1/admin/default/rules`, {
      method: "PUT",
      body: JSON.stringify(rules),
    });
    assertEquals([put.status, await put.json()], [200, rules]);
    await shows(listening, ITEMS, ["a"]);
    const synced = unwrapOrThrow(await asking.syncOnce());
    assertEquals([synced.pushed, synced.checkpointRows], [1, 3]);
    await shows(listening, ITEMS, ["a", "a"]);
    assertEquals([await columnOf(asking, ITEMS), await columnOf(asking, TEXTS)], [
      ["a", "a"],
      ["n", "o"],
    ]);
    for (const client of [asking, listening]) await client.close();
    await server.stop();
    for (const id of ["default", "default.orders"]) {
      assert(existsSync(join(gatewayPaths(data, id).lake)), `a lake of its own for ${id}`);
    }
  }));

test("a table stays in the log that it has", () =>
  withTempDir(async (data) => {
    const start = async (options: Partial<ServerOptions>): Promise<string> => {
      const server = await startServer({ data, tables, ...options });
      if (!server.ok) return `${server.error.code}: ${server.error.message}`;
      await server.value.stop();
      return "started";
    };
    const elsewhere = join(data, "elsewhere");
    assertEquals(await start({}), "started");
    assertStringIncludes(
      await start({ shards }),
      'CONFLICT: Cannot move table "orders": its log is in "default" and no shard',
    );
    assertEquals(await start({}), "started", "nothing has changed");
    assertEquals(await start({ data: elsewhere, shards }), "started");
    const refused = 'CONFLICT: Cannot move table "orders": its log is in the shard "orders"';
    assertStringIncludes(await start({ data: elsewhere }), refused);
    const renamed = [{ name: "other", tables: ["orders"] }];
    assertStringIncludes(await start({ data: elsewhere, shards: renamed }), refused);
    const grown = defineTable("events", { what: string() }).schema;
    const more = [...shards, { name: "events", tables: ["events"] }];
    const added = { data: elsewhere, shards: more, tables: [...tables, grown] };
    assertEquals(await start(added), "started", "a new table may have a new shard");
  }));

test("two logs of one name are refused, and ids that are too long", () =>
  withTempDir(async (data) => {
    const start = async (gateways: readonly string[]): Promise<string> => {
      const server = await startServer({ data, tables, shards, gateways });
      return server.ok ? "started" : server.error.message;
    };
    assertStringIncludes(await start(["a", "a.orders"]), 'Cannot name a shard "a.orders"');
    assertStringIncludes(await start(["x".repeat(60)]), "Cannot name a shard");
  }));
