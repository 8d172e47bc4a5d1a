import { assert, assertEquals } from "@std/assert";
import {
  type Clock,
  compareHlc,
  err,
  type Hlc,
  LakeSyncError,
  type LogStore,
  unpackHlc,
  unwrapOrThrow,
} from "@lakesync/core";
import { ManualClock, Prng, test } from "@lakesync/testing";
import { ServerClock } from "./server_clock.ts";
import { memoryLogStore } from "./store_memory.ts";
import { storeWith } from "./testdata/fixture.ts";

async function open(store: LogStore, clock: Clock): Promise<ServerClock> {
  return unwrapOrThrow(await ServerClock.open(store, clock));
}

async function stamp(clock: ServerClock): Promise<Hlc> {
  return unwrapOrThrow(await clock.now());
}

/** A store that counts its writes. */
function counting(): { store: LogStore; writes: () => number } {
  const inner = memoryLogStore();
  let writes = 0;
  const store = storeWith(inner, {
    setValue: (key, value) => {
      writes++;
      return inner.setValue(key, value);
    },
  });
  return { store, writes: () => writes };
}

test("ServerClock shows physical time", async () => {
  const wall = new ManualClock(1_700_000_000_000);
  const clock = await open(memoryLogStore(), wall);
  assertEquals(unpackHlc(await stamp(clock)), { wallMs: 1_700_000_000_000, counter: 0 });
  assertEquals(clock.wallMs(), 1_700_000_000_000);
});

test("ServerClock always rises: over jumps of the wall clock, restarts and kills", async () => {
  const prng = new Prng(42);
  const store = memoryLogStore();
  const wall = new ManualClock();
  let clock = await open(store, wall);
  let last: Hlc = "0";
  for (let i = 0; i < 3_000; i++) {
    const what = prng.int(0, 9);
    if (what === 0) wall.set(wall.now() - prng.int(0, 3_600_000));
    else if (what === 1) wall.set(wall.now() + prng.int(0, 100_000));
    else if (what < 6) wall.set(wall.now() + prng.int(0, 400));
    if (prng.chance(0.02)) unwrapOrThrow(await clock.close());
    // A kill is a new clock without close().
    if (prng.chance(0.04)) clock = await open(store, wall);
    const next = await stamp(clock);
    assert(compareHlc(next, last) > 0, `${next} follows ${last}`);
    last = next;
  }
});

test("ServerClock writes once a second at the most, however many ask at a time", async () => {
  const { store, writes } = counting();
  const wall = new ManualClock();
  const clock = await open(store, wall);
  for (let ms = 0; ms < 10_000; ms += 50) {
    await Promise.all(Array.from({ length: 8 }, () => stamp(clock)));
    wall.set(wall.now() + 50);
  }
  assert(writes() <= 10, `${writes()} writes in 10 s`);
});

test("ServerClock begins at most a second ahead after a kill, and not ahead after close()", async () => {
  const store = memoryLogStore();
  const wall = new ManualClock();
  const killed = await open(store, wall);
  await stamp(killed);
  const again = await open(store, wall);
  assert(unpackHlc(await stamp(again)).wallMs <= wall.now() + 1_000);

  const other = memoryLogStore();
  const closed = await open(other, wall);
  await stamp(closed);
  unwrapOrThrow(await closed.close());
  const next = await open(other, wall);
  assert(unpackHlc(await stamp(next)).wallMs <= wall.now() + 1);
});

test("ServerClock gives no stamp that a restart could undercut when the store fails", async () => {
  const inner = memoryLogStore();
  let broken = true;
  const store = storeWith(inner, {
    setValue: (key, value) =>
      broken
        ? Promise.resolve(err(new LakeSyncError("STORAGE_ERROR", "The disk is full")))
        : inner.setValue(key, value),
  });
  const clock = await open(store, new ManualClock());
  const failed = await clock.now();
  assertEquals(failed.ok || failed.error.code, "STORAGE_ERROR");
  broken = false;
  assert(compareHlc(await stamp(clock), "0") > 0);
});

test("ServerClock opens over a stored value that is none", async () => {
  const store = memoryLogStore();
  unwrapOrThrow(await store.setValue("clock", "yesterday"));
  const wall = new ManualClock();
  assertEquals(unpackHlc(await stamp(await open(store, wall))).wallMs, wall.now());
});

test("ServerClock that was never asked writes nothing when it closes", async () => {
  const { store, writes } = counting();
  unwrapOrThrow(await (await open(store, new ManualClock())).close());
  assertEquals(writes(), 0);
});
