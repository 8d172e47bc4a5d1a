// A table grows: gateway, lake, old apps and new ones, real HTTP between them.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileObjectStore } from "@lakesync/adapter-file";
import { filesCatalogue, icebergLake } from "@lakesync/adapter-iceberg";
import { openAnalyst, type QueryOptions, type QueryRow } from "@lakesync/analyst";
import { createClient } from "@lakesync/client";
import { defineTable, integer, string, type TableSchema, unwrapOrThrow } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { gatewayPaths } from "./gateway_paths.ts";
import { type RunningServer, startServer } from "./server.ts";

const before = defineTable("todos", { title: string() });
const after = defineTable("todos", {
  title: string().nullable(),
  priority: integer().nullable(),
}, { version: 2 });

/** Files of a directory with their bytes in hexadecimal. */
async function dataFiles(directory: string): Promise<ReadonlyMap<string, string>> {
  const names = await readdir(directory, { recursive: true });
  const parquet = names.filter((name) => name.endsWith(".parquet")).sort();
  return new Map(
    await Promise.all(parquet.map(async (name) =>
      [
        name,
        await readFile(join(directory, name), "hex"),
      ] as const
    )),
  );
}

test("a column that is added reaches lake, analysts and new apps; old files, snapshots and apps go on", () =>
  withTempDir(async (directory) => {
    const data = join(directory, "data");
    const { lake } = gatewayPaths(data, "default");
    const serve = async (tables: readonly TableSchema[]): Promise<RunningServer> =>
      unwrapOrThrow(await startServer({ data, tables, flushEvery: 86_400 }));
    const open = async <T extends typeof before | typeof after>(
      table: T,
      name: string,
      { url }: RunningServer,
    ) =>
      unwrapOrThrow(
        await createClient({
          tables: [table],
          database: join(directory, `${name}.db`),
          clientId: name,
          url,
          sync: { auto: false },
        }),
      );
    const ask = async (sql: string, options?: QueryOptions) => {
      const store = fileObjectStore({ directory: lake });
      const analyst = unwrapOrThrow(
        await openAnalyst({ lake: icebergLake({ store }), threads: 1 }),
      );
      try {
        return unwrapOrThrow(await analyst.query(sql, options));
      } finally {
        await analyst.close();
      }
    };
    const sync = async (client: { syncOnce: () => Promise<Parameters<typeof unwrapOrThrow>[0]> }) =>
      unwrapOrThrow(await client.syncOnce());

    // Version 1: two apps and a flush.
    let server = await serve([before.schema]);
    let old = await open(before, "old", server);
    const growing = await open(before, "growing", server);
    unwrapOrThrow(await old.tables.todos.insert({ id: "1", title: "Milk" }));
    await sync(old);
    await sync(growing);
    unwrapOrThrow(await server.gateways[0]!.flush());
    const files = await dataFiles(lake);
    const { snapshots } = await ask("SELECT * FROM todos");

    // An app that is ahead of its gateway keeps what it has made.
    const early = await open(after, "early", server);
    unwrapOrThrow(await early.tables.todos.insert({ id: "2", title: null, priority: 2 }));
    const held = await early.syncOnce();
    assert(!held.ok);
    assertEquals(held.error.code, "CONFLICT");
    assertEquals(unwrapOrThrow(await early.pending()), 1);
    await old.close();
    await growing.close();
    await early.close();
    await server.stop();

    // Version 2 on the gateway. An app of version 1 changes what it knows, and its SQLite learns the rest.
    server = await serve([after.schema]);
    const late = await open(after, "early", server);
    await sync(late);
    assertEquals(unwrapOrThrow(await late.pending()), 0);
    unwrapOrThrow(await late.tables.todos.update("1", { priority: 1 }));
    await sync(late);
    old = await open(before, "old", server);
    await sync(old);
    unwrapOrThrow(await old.tables.todos.update("1", { title: "Oat milk" }));
    unwrapOrThrow(await old.tables.todos.insert({ id: "3", title: "Tea" }));
    await sync(old);
    const known = unwrapOrThrow(await old.query("SELECT * FROM todos ORDER BY id"));
    assertEquals(known.map((row) => ({ ...row })), [
      { id: "1", title: "Oat milk", priority: 1 },
      { id: "2", title: null, priority: 2 },
      { id: "3", title: "Tea", priority: null },
    ]);
    assertEquals(unwrapOrThrow(await old.tables.todos.get("1")), { id: "1", title: "Oat milk" });

    // The same device, its app updated: its SQLite gets the column, with what was there before.
    const grown = await open(after, "growing", server);
    const altered = unwrapOrThrow(await grown.query("SELECT * FROM todos"));
    assertEquals(altered.map((row) => ({ ...row })), [{ id: "1", title: "Milk", priority: null }]);
    await sync(grown);
    const all = [
      { id: "1", title: "Oat milk", priority: 1 },
      { id: "2", title: null, priority: 2 },
      { id: "3", title: "Tea", priority: null },
    ];
    const shown = unwrapOrThrow(await grown.query("SELECT * FROM todos ORDER BY id"));
    assertEquals(shown.map((row) => ({ ...row })), all);

    // The lake: a new field id, the old file as it was, and read on.
    unwrapOrThrow(await server.gateways[0]!.flush());
    for (const client of [late, old, grown]) await client.close();
    await server.stop();
    const now = await dataFiles(lake);
    assertEquals(now.size > files.size, true);
    for (const [name, bytes] of files) assertEquals(now.get(name), bytes, name);
    const catalogue = filesCatalogue(fileObjectStore({ directory: lake }));
    const { metadata } = unwrapOrThrow(await catalogue.load("todos_changes"))!;
    assertEquals(
      metadata.schemas.map(({ fields }) => fields.slice(8).map(({ id, name }) => [id, name])),
      [[[9, "title"]], [[9, "title"], [10, "priority"]]],
    );
    const plain = (rows: readonly QueryRow[]) => rows.map((row) => ({ ...row }));
    const sql = "SELECT id, title, priority FROM todos ORDER BY id";
    assertEquals(plain((await ask(sql)).rows), all);
    // At a snapshot of before it has the columns of then.
    assertEquals(plain((await ask("SELECT * FROM todos", { snapshots })).rows), [
      { id: "1", title: "Milk" },
    ]);
    assertEquals(
      plain((await ask("SELECT _client_id, _columns, priority FROM todos_history('1')")).rows),
      [
        { _client_id: "old", _columns: ["title"], priority: null },
        { _client_id: "early", _columns: ["priority"], priority: 1 },
        { _client_id: "old", _columns: ["title"], priority: null },
      ],
    );
  }));
