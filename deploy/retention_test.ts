// Clients that come after the log was trimmed: real clients, real files, real HTTP.
import { join } from "node:path";
import { fileObjectStore } from "@lakesync/adapter-file";
import { type Client, createClient } from "@lakesync/client";
import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
import { createGateway, createHandler, openSqliteLogStore } from "@lakesync/gateway";
import { ManualClock, serveHandler, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";

const notes = defineTable("notes", { text: string() });
const DAY = 86_400_000;

test("a client behind the trimmed log takes a checkpoint, keeps its outbox, and converges", async () => {
  await withTempDir(async (directory) => {
    const clock = new ManualClock();
    const gateway = unwrapOrThrow(
      await createGateway({
        id: "default",
        store: unwrapOrThrow(
          await openSqliteLogStore({ path: join(directory, "log.db"), clock }),
        ),
        tables: [notes.schema],
        checkpointCache: { store: fileObjectStore({ directory: join(directory, "cache") }) },
      }),
    );
    const handler = createHandler({ gateways: [gateway] });
    await using server = await serveHandler((request) => handler.fetch(request));
    const open = async (clientId: string): Promise<Client<readonly [typeof notes]>> =>
      unwrapOrThrow(
        await createClient({
          tables: [notes],
          database: join(directory, `${clientId}.db`),
          url: server.url,
          clientId,
          clock,
          sync: { auto: false },
        }),
      );
    const alice = await open("alice");
    const bob = await open("bob");
    const insert = async (id: string) =>
      unwrapOrThrow(await alice.tables.notes.insert({ id, text: "new" }));

    for (const id of ["stays", "goes", "both"]) await insert(id);
    unwrapOrThrow(await alice.syncOnce());
    unwrapOrThrow(await bob.syncOnce());
    // Bob goes offline, and works on.
    unwrapOrThrow(await bob.tables.notes.update("both", { text: "bob's" }));
    unwrapOrThrow(await bob.tables.notes.insert({ id: "bobs", text: "new" }));
    await clock.advance(DAY);
    unwrapOrThrow(await alice.tables.notes.delete("goes"));
    unwrapOrThrow(await alice.tables.notes.update("stays", { text: "changed" }));
    await insert("late");
    unwrapOrThrow(await alice.syncOnce());
    await clock.advance(8 * DAY);
    const trimmed = unwrapOrThrow(await gateway.trim());
    assert(trimmed === unwrapOrThrow(await gateway.store.head()).seq);

    const { checkpointRows, pushed } = unwrapOrThrow(await bob.syncOnce());
    assertEquals([checkpointRows, pushed], [3, 2]);
    unwrapOrThrow(await alice.syncOnce());
    const expected = [
      { id: "bobs", text: "new" },
      { id: "both", text: "bob's" },
      { id: "late", text: "new" },
      { id: "stays", text: "changed" },
    ];
    for (const client of [alice, bob]) {
      assertEquals(
        unwrapOrThrow(await client.query("SELECT id, text FROM notes ORDER BY id")).map((row) => ({
          ...row,
        })),
        expected,
      );
      assertEquals(unwrapOrThrow(await client.pending()), 0);
      await client.close();
    }
    await handler.drain();
    await gateway.close();
  });
});
