import { assert, assertEquals } from "@std/assert";
import { type LogStore, unwrapOrThrow } from "@lakesync/core";
import { appendRequest, insertTodo, test, withTempDir } from "@lakesync/testing";
import type { KvDatabase } from "./kv_database.ts";
import { openDenoKv } from "./kv_open_deno.ts";
import { kvLogStore } from "./store_kv.ts";
import { checkLog } from "./testdata/check_kv.ts";

async function memoryKv(): Promise<KvDatabase> {
  return unwrapOrThrow(await openDenoKv({ path: ":memory:" }));
}

test("a trim comes to its end beside an instance that appends without a pause", async () => {
  const kv = await memoryKv();
  const [busy, store] = [await kvLogStore({ kv }), await kvLogStore({ kv })].map(unwrapOrThrow);
  for (let i = 0; i < 30; i++) {
    unwrapOrThrow(await busy!.append(appendRequest([insertTodo(`r${i}`, i + 1)])));
  }
  let trimmed = false;
  let appended = 30;
  const appending = (async () => {
    while (!trimmed) {
      unwrapOrThrow(await busy!.append(appendRequest([insertTodo("r", ++appended)])));
    }
  })();
  unwrapOrThrow(await store!.trim({ through: 30 }));
  trimmed = true;
  await appending;
  assertEquals(unwrapOrThrow(await store!.stats()).trimmed, 30);
  assertEquals(unwrapOrThrow(await store!.head()).seq, appended);
  await busy!.close();
  await store!.close();
  kv.close();
});

test("a large append comes to its end beside an instance that makes small ones without a pause", async () => {
  const kv = await memoryKv();
  const [busy, store] = [await kvLogStore({ kv }), await kvLogStore({ kv })].map(unwrapOrThrow);
  let done = false;
  let small = 0;
  const appending = (async () => {
    while (!done) {
      unwrapOrThrow(await busy!.append(appendRequest([insertTodo(`s${++small}`, small, "bob")])));
    }
  })();
  const large = Array.from({ length: 4_000 }, (_, i) => insertTodo(`l${i}`, i + 1, "alice"));
  const request = appendRequest(large, { oneTransaction: true });
  const { first, head } = unwrapOrThrow(await store!.append(request));
  done = true;
  await appending;
  assertEquals(head.seq - first! + 1, large.length, "it is in one piece");
  assertEquals((await checkLog(store!)).length, large.length + small);
  await busy!.close();
  await store!.close();
  kv.close();
});

test("instances whose clocks differ by seconds give no time below one that any of them gave", async () => {
  const kv = await memoryKv();
  const walls = [1_000_000, 1_004_000, 996_000];
  const stores: LogStore[] = [];
  for (const [i] of walls.entries()) {
    stores.push(unwrapOrThrow(await kvLogStore({ kv, clock: { now: () => walls[i]! } })));
  }
  let last = 0;
  for (let n = 0; n < 300; n++) {
    for (const [i] of walls.entries()) walls[i]! += [0, 1, 40, 7][n % 4]!;
    // Now alone for a while, now by turns.
    const store = stores[n < 150 ? Math.floor(n / 10) % 3 : n % 3]!;
    const time = unwrapOrThrow(await store.now());
    assert(time >= last, `${time} follows ${last}`);
    assert(time <= Math.max(...walls) + 250, "it runs away");
    last = time;
  }
  for (const store of stores) await store.close();
  kv.close();
});

test("a process waits for the file that another one is writing", () =>
  withTempDir(async (directory) => {
    const path = `${directory}/log.kv`;
    const stores = await Promise.all(Array.from({ length: 3 }, async () => {
      const kv = unwrapOrThrow(await openDenoKv({ path }));
      return unwrapOrThrow(await kvLogStore({ kv, closesKv: true }));
    }));
    await Promise.all(stores.flatMap((store, i) =>
      Array.from({ length: 10 }, async (_, n) => {
        const delta = insertTodo(`r${i}-${n}`, n + 1, `client${i}`);
        unwrapOrThrow(await store.append(appendRequest([delta])));
      })
    ));
    assertEquals((await checkLog(stores[0]!)).length, 30);
    for (const store of stores) await store.close();
  }));
