import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Delta, type LogStore, systemRandom, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { memoryLogStore } from "./store_memory.ts";
import { FakeDestination } from "./testdata/fake_destination.ts";
import { openGateway, push } from "./testdata/fixture.ts";
import { assertExact, codeOf, flusherOf, grow, storeOf } from "./testdata/flushes.ts";

/** A store as it is now; to be put in its place later, as often as wanted. */
async function backUp(store: LogStore): Promise<() => Promise<LogStore>> {
  const deltas = await deltasOf(store);
  const note = unwrapOrThrow(await store.getValue("flush:lake"));
  return async () => {
    const restored = memoryLogStore({ random: { ...systemRandom, uuid: () => store.epoch } });
    await send(restored, deltas);
    unwrapOrThrow(await restored.setValue("flush:lake", note ?? null));
    return restored;
  };
}

async function deltasOf(store: LogStore, after = 0): Promise<Delta[]> {
  const entries = unwrapOrThrow(await store.read(after, { limit: 1_000 }));
  return entries.map(({ json }) => JSON.parse(json) as Delta);
}

async function send(store: LogStore, deltas: readonly Delta[]): Promise<void> {
  await push(await openGateway({ store }), deltas);
}

/** A log that was backed up at seq 3, and flushed at seq 6 to a lake that stays. */
async function flushedBeyondBackup(): Promise<{
  store: LogStore;
  lake: FakeDestination;
  restore: () => Promise<LogStore>;
}> {
  const store = await storeOf(2, 1);
  const lake = new FakeDestination();
  unwrapOrThrow(await flusherOf(store, lake).flush());
  const restore = await backUp(store);
  await grow(store, { todos: 3 });
  unwrapOrThrow(await flusherOf(store, lake).flush());
  return { store, lake, restore };
}

async function assertRefused(store: LogStore, lake: FakeDestination): Promise<void> {
  const before = lake.batches.length;
  const flushed = await flusherOf(store, lake).flush();
  assert(!flushed.ok);
  assertEquals(flushed.error.code, "CONFLICT");
  assertMatch(
    flushed.error.message,
    /"todos" of destination "lake".*restored from an older backup/,
  );
  assertEquals(flushed.error.details, { table: "todos", watermark: 6 });
  assertEquals(lake.batches.length, before);
}

test("a destination ahead of the log is refused: the log was restored from a backup", async () => {
  const { lake, restore } = await flushedBeyondBackup();
  await assertRefused(await restore(), lake);
});

test("a restored log that has outgrown its destination is refused as well", async () => {
  const { lake, restore } = await flushedBeyondBackup();
  for (const todos of [3, 4, 100]) {
    const restored = await restore();
    await grow(restored, { todos });
    await assertRefused(restored, lake);
    await assertRefused(restored, lake);
    await grow(restored, { protos: 1 });
    await assertRefused(restored, lake);
  }
});

test("a restored log that is trimmed up to what its destination has is refused", async () => {
  const { lake, restore } = await flushedBeyondBackup();
  for (const through of [5, 6]) {
    const restored = await restore();
    await grow(restored, { todos: 10 });
    unwrapOrThrow(await restored.trim({ through }));
    await assertRefused(restored, lake);
  }
  const restored = await restore();
  await grow(restored, { todos: 10 });
  unwrapOrThrow(await restored.trim({ through: 7 }));
  // What the lake would need is not there: that is no better.
  assertEquals(await codeOf(flusherOf(restored, lake)), "CONFLICT");
});

test("a restored log that got the same entries again goes on", async () => {
  const { store, lake, restore } = await flushedBeyondBackup();
  const restored = await restore();
  await send(restored, await deltasOf(store, 3));
  await grow(restored, { todos: 1, protos: 1 });
  assertEquals(await codeOf(flusherOf(restored, lake)), "flushed 8");
  await assertExact(restored, lake);
});

test("a restored log goes on where nothing was flushed since the backup", async () => {
  const store = await storeOf(2, 1);
  const lake = new FakeDestination();
  unwrapOrThrow(await flusherOf(store, lake).flush());
  const restore = await backUp(store);
  await grow(store, { todos: 3 });
  const restored = await restore();
  await grow(restored, { todos: 5, protos: 1 });
  assertEquals(await codeOf(flusherOf(restored, lake)), "flushed 9");
  await assertExact(restored, lake);
});

test("what is dropped of a refused destination is written anew from the restored log", async () => {
  const { lake, restore } = await flushedBeyondBackup();
  const restored = await restore();
  await grow(restored, { todos: 5 });
  await assertRefused(restored, lake);
  lake.tables.delete("todos");
  assertEquals(await codeOf(flusherOf(restored, lake)), "flushed 8");
  await assertExact(restored, lake);
});

test("a table of before there was a hash goes on, and has one from then on", async () => {
  const store = await storeOf(2, 1);
  const lake = new FakeDestination();
  unwrapOrThrow(await flusherOf(store, lake).flush());
  for (const held of lake.tables.values()) held.mark = { epoch: store.epoch, seq: 3 };
  const note = JSON.stringify({
    flushedSeq: 3,
    marks: [["todos", store.epoch, 3], ["__proto__", store.epoch, 3]],
  });
  unwrapOrThrow(await store.setValue("flush:lake", note));
  await grow(store, { todos: 1 });
  assertEquals(await codeOf(flusherOf(store, lake)), "flushed 4");
  await assertExact(store, lake);
  const hash = unwrapOrThrow(await store.hashAt(4));
  assert(hash !== undefined);
  assertEquals(lake.tables.get("todos")?.mark, { epoch: store.epoch, seq: 4, hash });
  assertEquals(lake.tables.get("__proto__")?.mark, { epoch: store.epoch, seq: 3 });
});

test("a destination that keeps no hash is refused as long as it is ahead, and goes on else", async () => {
  const { store, lake, restore } = await flushedBeyondBackup();
  const forget = () => {
    for (const held of lake.tables.values()) {
      held.mark = { epoch: held.mark.epoch, seq: held.mark.seq };
    }
  };
  forget();
  await assertRefused(await restore(), lake);
  await grow(store, { todos: 1 });
  assertEquals(await codeOf(flusherOf(store, lake)), "flushed 7");
  forget();
  assertEquals(await codeOf(flusherOf(store, lake)), "flushed 7");
  await grow(store, { protos: 1 });
  assertEquals(await codeOf(flusherOf(store, lake)), "flushed 8");
  await assertExact(store, lake);
});

test("a new store goes on top of another epoch's tables, also once its log is trimmed", async () => {
  const lake = new FakeDestination();
  await flusherOf(await storeOf(3, 2), lake).flush();
  const old = { todos: lake.seqs("todos"), proto: lake.seqs("__proto__") };

  const store = await storeOf(2);
  const flusher = flusherOf(store, lake);
  assertEquals(await codeOf(flusher), "flushed 2");
  assertEquals(lake.seqs("todos"), [...old.todos, 1, 2]);
  unwrapOrThrow(await store.trim({ through: 2 }));
  await grow(store, { todos: 1 });
  assertEquals(await codeOf(flusher), "flushed 3");
  await grow(store, { protos: 1 });
  assertEquals(await codeOf(flusher), "flushed 4");
  assertEquals(lake.seqs("todos"), [...old.todos, 1, 2, 3]);
  assertEquals(lake.seqs("__proto__"), [...old.proto, 4]);
});
