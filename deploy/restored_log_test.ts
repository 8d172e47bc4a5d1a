// A log that was reset or restored from an older backup, real clients and real HTTP between them.
import { cp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileObjectStore } from "@lakesync/adapter-file";
import { filesCatalogue } from "@lakesync/adapter-iceberg";
import { type Client, createClient } from "@lakesync/client";
import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
import { openSqliteLogStore } from "@lakesync/gateway";
import { test, withTempDir } from "@lakesync/testing";
import { assertEquals, assertMatch } from "@std/assert";
import { gatewayPaths } from "./gateway_paths.ts";
import { rebuildLog } from "./rebuild_log.ts";
import { type RunningServer, startServer } from "./server.ts";

const notes = defineTable("notes", { text: string() });
type Notes = Client<readonly [typeof notes]>;

/** Two gateways of one server, and clients of the first one. */
class World {
  readonly #directory: string;
  readonly #clients: Map<string, Notes> = new Map();
  server!: RunningServer;

  constructor(directory: string) {
    this.#directory = directory;
  }

  get #data(): string {
    return join(this.#directory, "data");
  }

  async start(): Promise<void> {
    this.server = unwrapOrThrow(
      await startServer({
        data: this.#data,
        gateways: ["default", "other"],
        tables: [notes.schema],
        flushEvery: 86_400,
      }),
    );
  }

  /** Ends the server and all apps; their files stay. */
  async stop(): Promise<void> {
    for (const client of this.#clients.values()) await client.close();
    this.#clients.clear();
    await this.server.stop();
  }

  /** What is on the server's disk now, or in one folder of it, to be put back. */
  async backup(folder = ""): Promise<() => Promise<void>> {
    const there = join(this.#data, folder);
    const copy = join(this.#directory, "backup");
    await cp(there, copy, { recursive: true });
    return async () => {
      await rm(there, { recursive: true });
      await cp(copy, there, { recursive: true });
    };
  }

  /** The first gateway is flushed to its lake: how far it is then, or why it is not. */
  async flush(): Promise<number | string> {
    const flushed = await this.server.gateways[0]!.flush();
    return flushed.ok ? flushed.value.flushedSeq : flushed.error.message;
  }

  /** The operator has the first gateway's log made anew from its lake. */
  async rebuild(): Promise<void> {
    const { log, lake } = gatewayPaths(this.#data, "default");
    await rm(dirname(log), { recursive: true });
    const store = unwrapOrThrow(await openSqliteLogStore({ path: log }));
    const catalogue = filesCatalogue(fileObjectStore({ directory: lake }));
    unwrapOrThrow(await rebuildLog({ catalogue, store, id: "default" }));
  }

  /** The disk of the first gateway is lost, its lake too. */
  async lose(): Promise<void> {
    await rm(join(this.#data, "gateways", "default"), { recursive: true });
    await rm(join(this.#data, "lake", "default"), { recursive: true, force: true });
  }

  async client(clientId: string, gateway = "default"): Promise<Notes> {
    const name = `${clientId}-${gateway}`;
    const client = this.#clients.get(name) ?? unwrapOrThrow(
      await createClient({
        tables: [notes],
        database: join(this.#directory, `${name}.db`),
        url: this.server.url,
        gateway,
        clientId,
        sync: { auto: false },
      }),
    );
    this.#clients.set(name, client);
    return client;
  }

  /** A client writes notes and syncs. */
  async write(clientId: string, ids: readonly string[], gateway?: string): Promise<void> {
    const client = await this.client(clientId, gateway);
    for (const id of ids) {
      unwrapOrThrow(await client.tables.notes.insert({ id, text: `${clientId} wrote ${id}` }));
    }
    unwrapOrThrow(await client.syncOnce());
  }

  /** The ids that a client shows after a sync; it has nothing left to push. */
  async shown(clientId: string, gateway?: string): Promise<unknown[]> {
    const client = await this.client(clientId, gateway);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(unwrapOrThrow(await client.pending()), 0);
    assertEquals(unwrapOrThrow(await client.rejected.list()), []);
    const rows = unwrapOrThrow(await client.query("SELECT id FROM notes ORDER BY id"));
    return rows.map(({ id }) => id);
  }

  async rowsOnGateway(): Promise<unknown> {
    const stats = unwrapOrThrow(await this.server.gateways[0]!.stats());
    return stats.tables["notes"]?.rows;
  }
}

test("clients notice a log that was restored from an older backup, and send up what it lost", async () => {
  await withTempDir(async (directory) => {
    const world = new World(directory);
    await world.start();
    await world.write("alice", ["a1", "a2"]);
    assertEquals(await world.shown("bob"), ["a1", "a2"]);
    await world.stop();
    const restore = await world.backup();

    await world.start();
    await world.write("alice", ["a3", "a4"]);
    await world.write("bob", ["b1"]);
    await world.write("carol", ["c1"], "other");
    await world.stop();
    await restore();

    // Somebody new comes first: the log is as long as it was before, with another history.
    await world.start();
    await world.write("dave", ["d1", "d2", "d3"]);
    const all = ["a1", "a2", "a3", "a4", "b1", "d1", "d2", "d3"];
    await world.shown("alice");
    assertEquals(await world.shown("bob"), all);
    assertEquals(await world.shown("alice"), all);
    assertEquals(await world.shown("dave"), all);
    assertEquals(await world.rowsOnGateway(), 8);
    assertEquals(await world.shown("carol", "other"), ["c1"], "of the other gateway's log too");
    await world.stop();
  });
});

test("clients notice a log that is shorter than what they have seen", async () => {
  await withTempDir(async (directory) => {
    const world = new World(directory);
    await world.start();
    await world.write("alice", ["a1"]);
    await world.stop();
    const restore = await world.backup();
    await world.start();
    await world.write("alice", ["a2", "a3"]);
    await world.stop();
    await restore();
    await world.start();
    assertEquals(await world.shown("alice"), ["a1", "a2", "a3"]);
    assertEquals(await world.rowsOnGateway(), 3);
    await world.stop();
  });
});

test("clients notice a log that was made anew, and fill it again", async () => {
  await withTempDir(async (directory) => {
    const world = new World(directory);
    await world.start();
    await world.write("alice", ["a1", "a2"]);
    await world.write("bob", ["b1"]);
    assertEquals(await world.shown("alice"), ["a1", "a2", "b1"]);
    await world.write("alice", ["x1"], "other");
    await world.stop();
    await world.lose();

    await world.start();
    assertEquals(await world.rowsOnGateway(), 0);
    await world.shown("bob");
    await world.shown("alice");
    assertEquals(await world.shown("bob"), ["a1", "a2", "b1"]);
    assertEquals(await world.rowsOnGateway(), 3);
    assertEquals(await world.shown("alice", "other"), ["x1"]);
    await world.stop();
  });
});

test("a log that was restored behind its lake is refused by it for good, and made anew from it goes on", async () => {
  await withTempDir(async (directory) => {
    const world = new World(directory);
    await world.start();
    await world.write("alice", ["a1"]);
    assertEquals(await world.flush(), 1);
    await world.stop();
    const restore = await world.backup("gateways");
    await world.start();
    await world.write("alice", ["a2", "a3"]);
    assertEquals(await world.flush(), 3);
    await world.stop();
    await restore();

    await world.start();
    assertMatch(String(await world.flush()), /"notes".*up to seq 3, and the log ends at seq 1/);
    await world.write("bob", ["b1", "b2", "b3"]);
    assertMatch(String(await world.flush()), /the log has other entries up to there/);
    await world.stop();
    await world.start();
    assertMatch(String(await world.flush()), /restored from an older backup; make the log anew/);
    await world.stop();

    await world.rebuild();
    await world.start();
    const all = ["a1", "a2", "a3", "b1", "b2", "b3"];
    await world.shown("bob");
    assertEquals(await world.shown("alice"), all);
    assertEquals(await world.shown("bob"), all);
    assertEquals(await world.flush(), 6);
    await world.stop();
  });
});
