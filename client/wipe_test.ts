import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { unwrapOrThrow } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { codeOf, foreignDelta, rowsOf, withBench } from "./testdata/bench.ts";

test("wipe() removes all files of a database, ends the client, and tells what was never sent", () =>
  withTempDir((directory) =>
    withBench(async (bench) => {
      const database = join(directory, "app-alice.db");
      const client = await bench.client({ database });
      let ended = false;
      const live = (async () => {
        for await (const _ of client.live("SELECT * FROM todos"));
        ended = true;
      })();
      unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "sent", done: false }));
      unwrapOrThrow(await client.syncOnce());
      unwrapOrThrow(await client.tables.todos.insert({ id: "2", title: "kept", done: false }));
      assert((await readdir(directory)).length > 0);
      assertEquals(unwrapOrThrow(await client.wipe()), { unsent: 1 });
      assertEquals(await readdir(directory), []);
      await live;
      assert(ended);
      assertEquals(client.status.state, "closed");
      assertEquals(codeOf(await client.tables.todos.delete("1")), "CLOSED");
      assertEquals(codeOf(await client.wipe()), "CLOSED");
      // The next one begins anew, under another name.
      const next = await bench.client({ database });
      assert(next.clientId !== client.clientId);
      assertEquals(await rowsOf(next), []);
    })
  ));

test("wipe() leaves a database that it was given, without what the client had in it", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    unwrapOrThrow(await database.transaction((tx) => tx.run("CREATE TABLE mine (x)")));
    const client = await bench.client({ database });
    bench.gateway.append([foreignDelta({ rowId: "1", columns: { title: "a", done: false } })]);
    unwrapOrThrow(await client.syncOnce());
    unwrapOrThrow(await client.tables.todos.insert({ title: "b", done: false }));
    assertEquals(unwrapOrThrow(await client.wipe()), { unsent: 1 });
    const left = unwrapOrThrow(await database.query("SELECT name FROM sqlite_master"));
    assertEquals(left.map(({ name }) => name), ["mine"]);
    assertEquals(await rowsOf(await bench.client({ database })), []);
  }));
