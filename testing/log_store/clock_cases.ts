import { assert, assertEquals } from "@std/assert";
import { type LogStore, unwrapOrThrow } from "@lakesync/core";
import { Prng } from "../prng.ts";
import { append, appendRequest, type Check, insertTodo, look, readAll } from "./fixture.ts";

/** The store's time. */
export async function timeOf(store: LogStore): Promise<number> {
  return unwrapOrThrow(await store.now());
}

/** Time, and leases that end with it. */
export function registerClockCases(check: Check): void {
  check("stamps entries with its clock, which never goes back in the log", async (context) => {
    const { store, time } = context;
    await append(store, appendRequest([insertTodo("a", 1)]));
    time.now -= 500_000;
    await append(store, appendRequest([insertTodo("b", 2)]));
    time.now += 1_000_000;
    await append(store, appendRequest([insertTodo("c", 3)]));
    assertEquals((await readAll(store)).map(({ at }) => at), [1_000_000, 1_000_000, 1_500_000]);
    assertEquals(unwrapOrThrow(await store.seqBefore(1_000_000)), 0);
    assertEquals(unwrapOrThrow(await store.seqBefore(1_000_001)), 2);
    assertEquals(unwrapOrThrow(await store.seqBefore(2_000_000)), 3);
  });

  check("has one clock for answers, plans and entries", async ({ store, time }) => {
    assertEquals(await timeOf(store), 1_000_000);
    time.now += 250;
    assertEquals(await look(store, { deltas: [], rows: [] }, ({ now }) => now), 1_000_250);
    time.now += 250;
    await append(store, appendRequest([insertTodo("a", 1)]));
    assertEquals((await readAll(store)).map(({ at }) => at), [1_000_500]);
    assertEquals(await timeOf(store), 1_000_500);
  });

  check("never gives a time lower than one before", async ({ store, time }) => {
    const random = new Prng(3);
    let last = 0;
    for (let i = 0; i < 60; i++) {
      time.now += random.int(-3_000, 3_000);
      const given = i % 5 === 4
        ? await look(store, { deltas: [], rows: [] }, ({ now }) => now)
        : await timeOf(store);
      assert(given >= last, `${given} follows ${last}`);
      last = given;
    }
  });

  check("gives a lease to one holder until it ends", async ({ store, time }) => {
    await passLease([store, store], time);
  });
}

/** What must hold of time over a restart. */
export function registerDurableClockCases(check: Check): void {
  check("goes on with its clock after a restart, also where that was set back", async (context) => {
    const { time, reopen } = context;
    let { store } = context;
    for (const jump of [0, 10, -50_000, 100_000, -1]) {
      const before = await timeOf(store);
      await append(store, appendRequest([insertTodo(`r${jump}`, 1)]));
      time.now += jump;
      store = await reopen();
      const after = await timeOf(store);
      assert(after >= before, `${after} follows ${before}`);
      const planned = await look(store, { deltas: [], rows: [] }, ({ now }) => now);
      assert(planned >= after);
    }
    const times = (await readAll(store)).map(({ at }) => at);
    assertEquals(times, [...times].sort((a, b) => a - b));
  });
}

/** Two holders who take and let go of one lease, each through a store of its own. */
export async function passLease(
  [one, two]: readonly [LogStore, LogStore],
  time: { now: number },
): Promise<void> {
  const take = async (store: LogStore, holder: string) =>
    unwrapOrThrow(await store.acquireLease("flush", { holder, ttlMs: 1000 }));
  assertEquals(await take(one, "one"), true);
  assertEquals(await take(two, "two"), false);
  assertEquals(await take(one, "one"), true);
  time.now += 1000;
  assertEquals(await take(two, "two"), true);
  unwrapOrThrow(await one.releaseLease("flush", { holder: "one" }));
  assertEquals(await take(one, "one"), false);
  unwrapOrThrow(await two.releaseLease("flush", { holder: "two" }));
  assertEquals(await take(one, "one"), true);
  assertEquals(unwrapOrThrow(await two.acquireLease("other", { holder: "two", ttlMs: 1 })), true);
}
