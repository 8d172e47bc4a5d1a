import { assert, assertEquals } from "@std/assert";
import { unwrapOrThrow } from "@lakesync/core";
import { appendRequest, insertTodo, ManualClock, test } from "@lakesync/testing";
import type { KvDatabase } from "./kv_database.ts";
import { KvKeys } from "./kv_keys.ts";
import { openDenoKv } from "./kv_open_deno.ts";
import { kvLogStore } from "./store_kv.ts";
import { tableKey } from "./table_key.ts";

/** The same database; before the n-th entry of a list of the index is read, something happens. */
function withIndexHook(kv: KvDatabase, n: number, happens: () => Promise<void>): KvDatabase {
  return {
    get: (key) => kv.get(key),
    getMany: (keys) => kv.getMany(keys),
    atomic: () => kv.atomic(),
    watch: (keys) => kv.watch(keys),
    close: () => kv.close(),
    async *list(selector, options) {
      let read = 0;
      for await (const entry of kv.list(selector, options)) {
        yield entry;
        if (selector.start.includes("index") && ++read === n) await happens();
      }
    },
  };
}

test("a read by keys that a trim overtakes gives no entries behind a gap", async () => {
  const kv = unwrapOrThrow(await openDenoKv({ path: ":memory:" }));
  const other = unwrapOrThrow(await kvLogStore({ kv }));
  const keys = () => [tableKey("todos")];
  for (let i = 1; i <= 60; i++) {
    unwrapOrThrow(await other.append(appendRequest([insertTodo(`r${i}`, i)], { keys })));
  }
  // The index is listed 16 records at a time: the rest is read when the trim is over.
  const trim = async () => unwrapOrThrow(await other.trim({ through: 40 }));
  const store = unwrapOrThrow(await kvLogStore({ kv: withIndexHook(kv, 16, trim) }));
  const read = await store.read(0, { limit: 30, keys: keys() });
  assert(!read.ok, "entries 17 to 40 are missing");
  assertEquals(read.error.code, "CHECKPOINT_REQUIRED");
  await store.close();
  await other.close();
  kv.close();
});

test("a store that a newer version has written is not opened, and stays as it is", async () => {
  const kv = unwrapOrThrow(await openDenoKv({ path: ":memory:" }));
  const { meta } = new KvKeys(["lakesync", "default"]);
  await kv.atomic().set(meta, { format: 2, epoch: "e" }).commit();
  const opened = await kvLogStore({ kv });
  assertEquals(opened.ok || opened.error.code, "CORRUPT");
  assertEquals((await kv.get(meta)).value, { format: 2, epoch: "e" });
  kv.close();
});

test("a watch that cannot begin is tried again, and subscribers hear of other instances meanwhile", async () => {
  const kv = unwrapOrThrow(await openDenoKv({ path: ":memory:" }));
  const other = unwrapOrThrow(await kvLogStore({ kv }));
  const failing: KvDatabase = {
    ...withIndexHook(kv, 0, () => Promise.resolve()),
    watch() {
      throw new Error("no watch just now");
    },
  };
  const clock = new ManualClock();
  const store = unwrapOrThrow(await kvLogStore({ kv: failing, clock, scheduler: clock }));
  let heard = Promise.withResolvers<void>();
  store.subscribe(() => heard.resolve());
  await heard.promise;
  heard = Promise.withResolvers<void>();
  unwrapOrThrow(await other.append(appendRequest([insertTodo("a", 1)])));
  await clock.advance(250);
  await heard.promise;
  await store.close();
  await other.close();
  kv.close();
});
