import { assert, assertEquals } from "@std/assert";
import { compareHlc, err, LakeSyncError, unpackHlc, unwrapOrThrow } from "@lakesync/core";
import { ManualClock, test } from "@lakesync/testing";
import { serverStamp } from "./server_clock.ts";
import { memoryLogStore } from "./store_memory.ts";
import { storeWith } from "./testdata/fixture.ts";

test("serverStamp() is the store's clock, and stands while that stands", async () => {
  const clock = new ManualClock(1_700_000_000_000);
  const store = memoryLogStore({ clock });
  for (let i = 0; i < 2; i++) {
    const stamp = unwrapOrThrow(await serverStamp(store));
    assertEquals(unpackHlc(stamp), { wallMs: 1_700_000_000_000, counter: 0 });
  }
});

test("serverStamp() never goes back, also where the wall clock does", async () => {
  const clock = new ManualClock();
  const store = memoryLogStore({ clock });
  const before = unwrapOrThrow(await serverStamp(store));
  clock.set(clock.now() - 60_000);
  assertEquals(unwrapOrThrow(await serverStamp(store)), before);
  clock.set(clock.now() + 60_001);
  assert(compareHlc(unwrapOrThrow(await serverStamp(store)), before) > 0);
});

test("serverStamp() is a stamp also at the epoch's first millisecond", async () => {
  const store = memoryLogStore({ clock: { now: () => 0 } });
  assertEquals(unpackHlc(unwrapOrThrow(await serverStamp(store))), { wallMs: 1, counter: 0 });
});

test("serverStamp() hands on the store's failure", async () => {
  const failure = err(new LakeSyncError("STORAGE_ERROR", "The disk is full"));
  const store = storeWith(memoryLogStore(), { now: () => Promise.resolve(failure) });
  const stamp = await serverStamp(store);
  assertEquals(stamp.ok || stamp.error.code, "STORAGE_ERROR");
});
