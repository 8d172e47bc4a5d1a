// A gateway that is rebuilt from its lake alone, real clients and real HTTP between them.
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileObjectStore } from "@lakesync/adapter-file";
import { filesCatalogue, icebergDestination, icebergLake } from "@lakesync/adapter-iceberg";
import { openAnalyst, type QueryRow } from "@lakesync/analyst";
import { type Client, createClient } from "@lakesync/client";
import {
  bigint,
  bytes,
  defineTable,
  type Delta,
  json,
  number,
  type ObjectStore,
  string,
  timestamp,
  unwrapOrThrow,
} from "@lakesync/core";
import { createGateway, memoryLogStore, openSqliteLogStore } from "@lakesync/gateway";
import { makeDelta, ManualClock, spawnScript, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { gatewayPaths } from "./gateway_paths.ts";
import { rebuildLog } from "./rebuild_log.ts";
import { type RunningServer, startServer } from "./server.ts";

const notes = defineTable("notes", {
  text: string(),
  count: bigint().nullable(),
  share: number().nullable(),
  at: timestamp().nullable(),
  body: bytes().nullable(),
  more: json().nullable(),
});
const tags = defineTable("tags", { _seq: string(), note: string() });
type App = Client<readonly [typeof notes, typeof tags]>;

const REBUILD = new URL("./rebuild.ts", import.meta.url);

class World {
  readonly #directory: string;
  readonly #clients: Map<string, App> = new Map();
  server!: RunningServer;

  constructor(directory: string) {
    this.#directory = directory;
  }

  get data(): string {
    return join(this.#directory, "data");
  }

  async start(): Promise<void> {
    const tables = [notes.schema, tags.schema];
    this.server = unwrapOrThrow(
      await startServer({ data: this.data, tables, flushEvery: 86_400 }),
    );
  }

  /** Ends the server and all apps; their files stay. */
  async stop(): Promise<void> {
    for (const client of this.#clients.values()) await client.close();
    this.#clients.clear();
    await this.server.stop();
  }

  /** The gateway's disk is lost, and so is what came to the lake after this moment. */
  async loseAllButTheLakeOfNow(work: () => Promise<void>): Promise<void> {
    const { lake } = gatewayPaths(this.data, "default");
    const copy = join(this.#directory, "lake-of-then");
    await cp(lake, copy, { recursive: true });
    await work();
    await this.stop();
    await rm(this.data, { recursive: true });
    await cp(copy, lake, { recursive: true });
  }

  async rebuild(): Promise<{ exit: number | null; line: unknown; stderr: string }> {
    await using process = spawnScript(REBUILD, { args: ["--data", this.data] });
    const line = await process.nextJson();
    const { code } = await process.exited;
    return { exit: code, line, stderr: process.stderr };
  }

  async client(clientId: string): Promise<App> {
    const client = this.#clients.get(clientId) ?? unwrapOrThrow(
      await createClient({
        tables: [notes, tags],
        database: join(this.#directory, `${clientId}.db`),
        url: this.server.url,
        clientId,
        sync: { auto: false },
      }),
    );
    this.#clients.set(clientId, client);
    return client;
  }

  /** What a client shows after a sync; it has nothing left to push and nothing was refused. */
  async shown(clientId: string): Promise<unknown[]> {
    const client = await this.client(clientId);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(unwrapOrThrow(await client.pending()), 0);
    assertEquals(unwrapOrThrow(await client.rejected.list()), []);
    return [
      ...unwrapOrThrow(await client.query("SELECT * FROM notes ORDER BY id")),
      ...unwrapOrThrow(await client.query("SELECT * FROM tags ORDER BY id")),
    ];
  }

  /** Asks the lake. */
  async lake(sql: string): Promise<readonly QueryRow[]> {
    const store = fileObjectStore({ directory: gatewayPaths(this.data, "default").lake });
    const analyst = unwrapOrThrow(
      await openAnalyst({ lake: icebergLake({ store }), threads: 1 }),
    );
    const { rows } = unwrapOrThrow(await analyst.query(sql));
    await analyst.close();
    return rows;
  }
}

test("a gateway rebuilt from its lake alone goes on: nothing flushed is lost, nothing comes back, nothing is doubled", () =>
  withTempDir(async (directory) => {
    const world = new World(directory);
    await world.start();
    const alice = await world.client("alice");
    unwrapOrThrow(
      await alice.transaction(async (tx) => {
        await tx.tables.notes.insert({
          id: "n1",
          text: "it's, \u{1F4A7}",
          count: 2n ** 63n - 1n,
          share: 0.1,
          at: "2026-01-02T03:04:05.678901Z",
          body: new Uint8Array([0, 255]),
          more: { a: [1, null], b: "x" },
        });
        await tx.tables.tags.insert({ id: "t1", _seq: "seven", note: "n1" });
      }),
    );
    unwrapOrThrow(await alice.tables.notes.insert({ id: "n2", text: "goes" }));
    unwrapOrThrow(await alice.tables.notes.update("n1", { share: null, more: null }));
    unwrapOrThrow(await alice.syncOnce());
    await world.shown("bob");
    const bob = await world.client("bob");
    unwrapOrThrow(await bob.tables.notes.delete("n2"));
    unwrapOrThrow(await bob.syncOnce());
    unwrapOrThrow(await world.server.gateways[0]!.flush());
    await world.shown("alice");

    const { epoch } = world.server.gateways[0]!.store;

    await world.loseAllButTheLakeOfNow(async () => {
      // Acknowledged, but never in the lake that is left.
      unwrapOrThrow(await alice.tables.notes.update("n1", { text: "acknowledged" }));
      unwrapOrThrow(await alice.syncOnce());
      unwrapOrThrow(await bob.tables.notes.insert({ id: "n3", text: "made offline" }));
    });
    assertEquals(await world.rebuild(), {
      exit: 0,
      line: { event: "rebuilt", tables: ["notes", "tags"], changes: 5, duplicates: 0 },
      stderr: "",
    });
    const again = await world.rebuild();
    assertEquals(again.exit, 1);
    assertStringIncludes(again.stderr, "CONFLICT: There is a log in");

    await world.start();
    assert(world.server.gateways[0]!.store.epoch !== epoch, "clients can tell the new log");
    await world.shown("carol");
    const [kept] = await world.shown("carol") as { text: string }[];
    assertEquals(kept?.text, "it's, \u{1F4A7}", "a new client has what the lake has");
    await world.shown("alice");
    await world.shown("bob");
    const all = [
      {
        id: "n1",
        text: "acknowledged",
        count: 2n ** 63n - 1n,
        share: null,
        at: "2026-01-02T03:04:05.678901Z",
        body: new Uint8Array([0, 255]),
        more: null,
      },
      {
        id: "n3",
        text: "made offline",
        count: null,
        share: null,
        at: null,
        body: null,
        more: null,
      },
      { id: "t1", _seq: "seven", note: "n1" },
    ].map((row) => Object.assign(Object.create(null), row));
    for (const name of ["alice", "bob", "carol", "dave"]) {
      assertEquals(await world.shown(name), all, name);
    }
    unwrapOrThrow(await world.server.gateways[0]!.flush());
    const twice = "SELECT id FROM notes_changes GROUP BY id, _hlc, _client_id HAVING count(*) > 1";
    assertEquals(await world.lake(twice), []);
    assertEquals(
      (await world.lake("SELECT count(*) AS n FROM notes_changes"))[0]!["n"],
      6,
      "four of then, the acknowledged update and the insert made offline",
    );
    assertEquals(
      (await world.lake("SELECT text FROM notes ORDER BY id")).map(({ text }) => text),
      ["acknowledged", "made offline"],
    );
    await world.stop();
  }));

/** A change of the tag `t`, as a client "a" makes it. */
function tagged(op: "INSERT" | "UPDATE", hlc: number, columns: Record<string, string>): Delta {
  return makeDelta({
    op,
    table: "tags",
    rowId: "t",
    clientId: "a",
    hlc: String(hlc),
    columns: Object.entries(columns).map(([column, value]) => ({ column, value })),
  });
}

/** Brings a new gateway's log to a lake; as rows, where it is trimmed before. */
async function fillLake(
  lake: ObjectStore,
  { deltas, trimmed }: { deltas: readonly Delta[]; trimmed: boolean },
): Promise<void> {
  const clock = new ManualClock();
  const gateway = unwrapOrThrow(
    await createGateway({
      id: "g",
      store: memoryLogStore({ clock }),
      tables: [tags.schema],
      destinations: [icebergDestination({ store: lake, name: "lake" })],
      limits: { retentionMs: 1000, maxLagMs: 1000 },
    }),
  );
  unwrapOrThrow(await gateway.push({ clientId: "a", deltas }, { sub: undefined }));
  if (trimmed) {
    await clock.advance(1001);
    unwrapOrThrow(await gateway.trim());
  }
  unwrapOrThrow(await gateway.flush());
  await gateway.close();
}

test("a lake whose table was itself rebuilt from rows gives those rows, NOT NULL columns and all", () =>
  withTempDir(async (directory) => {
    const lake = fileObjectStore({ directory: join(directory, "lake") });
    const deltas = [
      tagged("INSERT", 1, { _seq: "x", note: "old" }),
      tagged("UPDATE", 2, { note: "new" }),
    ];
    await fillLake(lake, { deltas, trimmed: true });
    const path = join(directory, "log.db");
    const catalogue = filesCatalogue(lake);
    const fill = async () => {
      const store = unwrapOrThrow(await openSqliteLogStore({ path }));
      return await rebuildLog({ catalogue, store, id: "g" });
    };
    assertEquals(unwrapOrThrow(await fill()), { tables: ["tags"], changes: 2, duplicates: 0 });

    const store = unwrapOrThrow(await openSqliteLogStore({ path }));
    const snapshot = unwrapOrThrow(await store.snapshot());
    for await (const [row] of snapshot.rows()) {
      assertEquals(row!.state.columns.get("note"), ["new", "2", "a"]);
      assertEquals(row!.state.columns.get("_seq"), ["x", "1", "a"]);
    }
    await snapshot.close();
    await store.close();

    const again = await fill();
    assert(!again.ok);
    assertEquals(again.error.code, "CONFLICT", "of a log that has entries");
  }));

test("rebuildLog() answers NOT_FOUND where the lake has no table", () =>
  withTempDir(async (directory) => {
    const catalogue = filesCatalogue(fileObjectStore({ directory }));
    const empty = await rebuildLog({ catalogue, store: memoryLogStore(), id: "g" });
    assert(!empty.ok);
    assertEquals(empty.error.code, "NOT_FOUND");
  }));

test("rebuildLog() fails where somebody goes on flushing to the lake", () =>
  withTempDir(async (directory) => {
    const lake = fileObjectStore({ directory });
    const more = { deltas: [tagged("INSERT", 1, { _seq: "x", note: "y" })], trimmed: false };
    await fillLake(lake, more);
    let flushed = false;
    const report = await rebuildLog({
      catalogue: {
        ...filesCatalogue(lake),
        // When it is looked at for the last time, somebody has come in between.
        async list() {
          if (flushed) await fillLake(lake, more);
          return await filesCatalogue(lake).list();
        },
      },
      store: memoryLogStore(),
      id: "g",
      onProgress: () => flushed = true,
    });
    assert(!report.ok);
    assertEquals(report.error.code, "CONFLICT");
    assertStringIncludes(report.error.message, "stop the gateway that does");
  }));
