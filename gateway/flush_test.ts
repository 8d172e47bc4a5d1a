import { assert, assertEquals } from "@std/assert";
import {
  err,
  LakeSyncError,
  type LogEntry,
  ok,
  silentLogger,
  systemRandom,
  unwrapOrThrow,
} from "@lakesync/core";
import { insertTodo, ManualClock, Prng, test } from "@lakesync/testing";
import { Flusher } from "./flush.ts";
import { memoryLogStore } from "./store_memory.ts";
import { FakeDestination, type WriteFault } from "./testdata/fake_destination.ts";
import { inTx, openGateway, push, storeWith, TODOS, updateTodo } from "./testdata/fixture.ts";
import { assertExact, codeOf, flusherOf, grow, storeOf } from "./testdata/flushes.ts";

test("a flush takes everything once, in the order of the log, and reports it", async () => {
  const store = await storeOf(3, 2);
  const lake = new FakeDestination();
  const flusher = flusherOf(store, lake);
  assertEquals(unwrapOrThrow(await flusher.flush()), { flushedSeq: 5, deltas: 5, objects: 4 });
  await assertExact(store, lake);
  const { hash } = unwrapOrThrow(await store.head());
  assertEquals(lake.tables.get("todos")?.mark, { epoch: store.epoch, seq: 5, hash });
  const entries = unwrapOrThrow(await store.read(0, { limit: 1 }));
  const first = lake.tables.get("todos")?.entries[0];
  assertEquals([first?.at, first?.delta], [entries[0]!.at, JSON.parse(entries[0]!.json)]);
});

test("a flush with nothing new writes nothing", async () => {
  const store = await storeOf(3);
  const lake = new FakeDestination();
  const flusher = flusherOf(store, lake);
  await flusher.flush();
  assertEquals(unwrapOrThrow(await flusher.flush()), { flushedSeq: 3, deltas: 0, objects: 0 });
  assertEquals(lake.batches.length, 1);
});

test("a flush reads only what is new, also for a table that had no news for long", async () => {
  const store = await storeOf(3, 1);
  const lake = new FakeDestination();
  const flusher = flusherOf(store, lake);
  await flusher.flush();
  for (let i = 0; i < 3; i++) {
    await grow(store, { todos: 2 });
    await flusher.flush();
  }
  assertEquals(lake.batches.map(({ seqs }) => seqs), [[1, 2, 3, 4], [5, 6], [7, 8], [9, 10]]);
  await grow(store, { protos: 1 });
  await flusher.flush();
  await assertExact(store, lake);
});

test("an empty log is flushed up to 0", async () => {
  assertEquals(await codeOf(flusherOf(memoryLogStore(), new FakeDestination())), "flushed 0");
});

const faults: WriteFault[] = [
  "fail-before",
  "fail-after",
  "lose-answer",
  "throw-after",
  "first-only",
  "silent",
];
for (const fault of faults) {
  for (const restarts of [false, true]) {
    test(`a flush after "${fault}"${restarts ? " and a restart" : ""} leaves each delta there once`, async () => {
      const store = await storeOf(3, 2);
      const lake = new FakeDestination();
      let flusher = flusherOf(store, lake);
      lake.faults.push(fault);
      const failed = await flusher.flush();
      assert(!failed.ok);
      // What failed is not counted as flushed.
      assertEquals(unwrapOrThrow(await flusher.flushedSeq()), 0);
      await grow(store, { todos: 1, protos: 1 });
      if (restarts) flusher = flusherOf(store, lake);
      assertEquals(await codeOf(flusher), "flushed 7");
      await assertExact(store, lake);
    });
  }
}

test("random pushes, flushes and faults leave each delta there once", async () => {
  const prng = new Prng(42);
  for (let round = 0; round < 40; round++) {
    const store = memoryLogStore();
    const lake = new FakeDestination();
    const other = new FakeDestination("other");
    let flusher = flusherOf(store, lake, other);
    for (let i = 0; i < 12; i++) {
      await grow(store, { todos: prng.int(0, 3), protos: prng.int(0, 2) });
      if (prng.chance(0.5)) lake.faults[0] = prng.pick(faults);
      if (prng.chance(0.3)) other.faults[0] = prng.pick(faults);
      if (prng.chance(0.3)) flusher = flusherOf(store, lake, other);
      await flusher.flush();
    }
    lake.faults.length = other.faults.length = 0;
    const { flushedSeq } = unwrapOrThrow(await flusher.flush({ waitMs: 1 }));
    assertEquals(flushedSeq, unwrapOrThrow(await store.head()).seq);
    await assertExact(store, lake);
    await assertExact(store, other);
  }
});

test("a crash between the commit and the note of it neither doubles nor forgets", async () => {
  for (const counts of [{ todos: 3 }, { todos: 3, protos: 2 }]) {
    const store = memoryLogStore();
    await grow(store, counts);
    const lake = new FakeDestination();
    const crashing = storeWith(store, {
      setValue: (key, value) =>
        key.startsWith("flush:")
          ? Promise.resolve(err(new LakeSyncError("STORAGE_ERROR", "The process ended here")))
          : store.setValue(key, value),
    });
    assertEquals(await codeOf(flusherOf(crashing, lake)), "STORAGE_ERROR");
    const head = unwrapOrThrow(await store.head()).seq;
    // Nothing new is written, and yet everything counts as flushed.
    const report = unwrapOrThrow(await flusherOf(store, lake).flush());
    assertEquals(report, { flushedSeq: head, deltas: 0, objects: 0 });
    await assertExact(store, lake);
  }
});

test("a flush plans anew when its destination has moved", async () => {
  const store = await storeOf(3, 1);
  const lake = new FakeDestination();
  const noLease = storeWith(store, { acquireLease: () => Promise.resolve(ok(true)) });
  const second = flusherOf(noLease, lake);
  let once = true;
  lake.beforeCommit = async () => {
    if (!once) return;
    once = false;
    unwrapOrThrow(await second.flush());
  };
  const flushed = await flusherOf(noLease, lake).flush();
  assertEquals(unwrapOrThrow(flushed), { flushedSeq: 4, deltas: 0, objects: 0 });
  await assertExact(store, lake);
});

test("a flusher that comes late, behind one that went further, takes nothing back", async () => {
  const store = await storeOf(2, 1);
  const lake = new FakeDestination();
  const noLease = storeWith(store, { acquireLease: () => Promise.resolve(ok(true)) });
  let once = true;
  lake.beforeCommit = async () => {
    if (!once) return;
    once = false;
    await grow(store, { todos: 2 });
    unwrapOrThrow(await flusherOf(noLease, lake).flush());
  };
  unwrapOrThrow(await flusherOf(noLease, lake).flush());
  await assertExact(store, lake);
  assertEquals(unwrapOrThrow(await flusherOf(store, lake).flushedSeq()), 5);
  await grow(store, { protos: 1 });
  assertEquals(await codeOf(flusherOf(store, lake)), "flushed 6");
  await assertExact(store, lake);
});

test("a flusher that notes its progress late does not take back another's", async () => {
  const store = await storeOf(2, 1);
  const lake = new FakeDestination();
  const noLease = storeWith(store, { acquireLease: () => Promise.resolve(ok(true)) });
  let once = true;
  const slow = storeWith(noLease, {
    getValue: async (key) => {
      // The last thing before the note is a look at the present one.
      if (key === "flush:lake" && lake.batches.length === 1 && once) {
        once = false;
        await grow(store, { todos: 2 });
        unwrapOrThrow(await flusherOf(noLease, lake).flush());
      }
      return await store.getValue(key);
    },
  });
  unwrapOrThrow(await flusherOf(slow, lake).flush());
  assertEquals(unwrapOrThrow(await flusherOf(store, lake).flushedSeq()), 5);
  await assertExact(store, lake);
  // What is flushed may be trimmed: nothing goes back behind it.
  unwrapOrThrow(await store.trim({ through: 5 }));
  await grow(store, { protos: 1 });
  assertEquals(await codeOf(flusherOf(store, lake)), "flushed 6");
  assertEquals(lake.seqs("__proto__"), [3, 6]);
});

test("a flush gives up where its destination keeps moving", async () => {
  const store = await storeOf(1);
  const lake = new FakeDestination();
  lake.beforeCommit = () => {
    const seq = (lake.tables.get("todos")?.mark.seq ?? 0) + 1;
    lake.tables.set("todos", { mark: { epoch: "another", seq }, entries: [] });
    return Promise.resolve();
  };
  assertEquals(await codeOf(flusherOf(store, lake)), "CONFLICT");
  assertEquals(lake.batches.length, 5);
});

test("a flush waits for no other instance: it answers CONFLICT while one has the lease", async () => {
  const clock = new ManualClock();
  const store = memoryLogStore({ clock });
  await grow(store, { todos: 1 });
  unwrapOrThrow(await store.acquireLease("flush", { holder: "other", ttlMs: 60_000 }));
  const flusher = flusherOf(store, new FakeDestination());
  assertEquals(await codeOf(flusher), "CONFLICT");
  clock.set(clock.now() + 60_000);
  assertEquals(await codeOf(flusher), "flushed 1");
  // Its own lease is let go again, also after a failure.
  assert(unwrapOrThrow(await store.acquireLease("flush", { holder: "other", ttlMs: 1 })));
});

test("a flush asked for while one runs joins it", async () => {
  const store = await storeOf(3);
  const lake = new FakeDestination();
  const flusher = flusherOf(store, lake);
  const [a, b] = await Promise.all([flusher.flush(), flusher.flush()]);
  assertEquals(a, b);
  assertEquals(lake.batches.length, 1);
});

test("a table that was lost is written again from the start, the others go on", async () => {
  const store = await storeOf(3, 2);
  const lake = new FakeDestination();
  const flusher = flusherOf(store, lake);
  await flusher.flush();
  lake.tables.delete("todos");
  await grow(store, { protos: 1 });
  assertEquals(await codeOf(flusher), "flushed 6");
  await assertExact(store, lake);
});

test("a table that was rolled back gets again what it lost", async () => {
  const store = await storeOf(3, 2);
  const lake = new FakeDestination();
  const flusher = flusherOf(store, lake);
  await flusher.flush();
  const early = lake.tables.get("todos")!;
  await grow(store, { todos: 2 });
  await flusher.flush();
  lake.tables.set("todos", early);
  await grow(store, { protos: 1 });
  assertEquals(await codeOf(flusher), "flushed 8");
  await assertExact(store, lake);
});

test("the primary's failure keeps no other from its data", async () => {
  const store = await storeOf(2);
  const broken = new FakeDestination("broken");
  const good = new FakeDestination("good");
  const flusher = flusherOf(store, broken, good);
  broken.faults.push("fail-before");
  assertEquals(await codeOf(flusher), "STORAGE_ERROR");
  assertEquals(good.seqs("todos"), [1, 2]);
  assertEquals(unwrapOrThrow(await flusher.flushedSeq()), 0);
  assertEquals(await codeOf(flusher), "flushed 2");
  await assertExact(store, broken);
  await assertExact(store, good);
});

test("a flush without a destination says what to configure", async () => {
  assertEquals(await codeOf(flusherOf(await storeOf(1))), "NOT_FOUND");
});

test("a batch ends between transactions and at a million entries or a little more", async () => {
  // A log of 2,000,010 entries that are made as they are read; the transaction from 999,995 to
  // 1,000,004 lies across the bound.
  const HEAD = 2_000_010;
  const inner = memoryLogStore();
  const entry = (seq: number): LogEntry => ({
    seq,
    hash: "1",
    at: 0,
    txLast: seq < 999_995 ? seq : Math.max(seq, 1_000_004),
    clientId: "c",
    table: "todos",
    rowId: "r",
    json: "{}",
    effect: {
      before: "alive",
      after: "alive",
      last: true,
      life: false,
      columns: undefined,
      state: undefined,
      judged: undefined,
    },
  });
  const store = storeWith(inner, {
    head: () => Promise.resolve(ok({ seq: HEAD, hash: "1" })),
    read: (after, { limit, through = Infinity }) => {
      const end = Math.min(after + limit, through, HEAD);
      return Promise.resolve(
        ok(Array.from({ length: Math.max(0, end - after) }, (_, i) => entry(after + 1 + i))),
      );
    },
  });
  const ends: number[] = [];
  let mark: { epoch: string; seq: number } | undefined;
  let read = 0;
  const flusher = new Flusher({
    store,
    tables: () => Promise.resolve(ok([TODOS])),
    random: systemRandom,
    scheduler: new ManualClock(),
    logger: silentLogger,
    destinations: [{
      name: "counting",
      watermarks: () => Promise.resolve(ok(new Map(mark === undefined ? [] : [["todos", mark]]))),
      async write(batch) {
        let deltas = 0;
        let largest = 0;
        for await (const chunk of batch.entries) {
          deltas += chunk.length;
          largest = Math.max(largest, chunk.length);
        }
        assert(largest <= 2_000, "chunks are bounded");
        read += deltas;
        ends.push(batch.to.seq);
        mark = batch.to;
        return ok(new Map([["todos", { status: "committed", deltas, objects: 1, bytes: 1 }]]));
      },
    }],
  });
  assertEquals(unwrapOrThrow(await flusher.flush()).flushedSeq, HEAD);
  assertEquals(ends, [1_000_004, 2_000_004, HEAD]);
  assertEquals(read, HEAD);
});

test("a gateway trims what every destination has and what is old enough, and goes on", async () => {
  const clock = new ManualClock();
  const lake = new FakeDestination();
  const gateway = await openGateway({
    clock,
    destinations: [lake],
    limits: { retentionMs: 1_000 },
  });
  await push(gateway, [insertTodo("a", 1), insertTodo("b", 2)]);
  unwrapOrThrow(await gateway.flush());
  assertEquals(unwrapOrThrow(await gateway.stats()).trimmedSeq, 0);
  clock.set(clock.now() + 1_001);
  await push(gateway, [inTx(updateTodo("a", 3, { title: "x" }), "t")]);
  lake.faults.push("fail-before");
  assert(!(await gateway.flush()).ok);
  assertEquals(unwrapOrThrow(await gateway.stats()).trimmedSeq, 2, "what it had before is old");
  unwrapOrThrow(await gateway.flush());
  const { head, flushedSeq, trimmedSeq, lag } = unwrapOrThrow(await gateway.stats());
  assertEquals([head, flushedSeq, trimmedSeq, lag], [3, 3, 2, 0]);
  assertEquals(lake.seqs("todos"), [1, 2, 3]);
});

test("flushedUpTo() tells where a destination was after its last flush, with older marks of quiet tables", async () => {
  const store = await storeOf(2, 1);
  const flusher = flusherOf(store, new FakeDestination("lake"));
  assertEquals(await flusher.flushedUpTo("elsewhere"), undefined);
  assertEquals(unwrapOrThrow((await flusher.flushedUpTo("lake"))!), { seq: 0, marks: new Map() });
  unwrapOrThrow(await flusher.flush());
  await grow(store, { todos: 2 });
  unwrapOrThrow(await flusher.flush());
  const markAt = async (seq: number) => {
    const hash = unwrapOrThrow(await store.hashAt(seq));
    assert(hash !== undefined);
    return { epoch: store.epoch, seq, hash };
  };
  assertEquals(unwrapOrThrow((await flusher.flushedUpTo("lake"))!), {
    seq: 5,
    marks: new Map([["todos", await markAt(5)], ["__proto__", await markAt(3)]]),
  });
});
