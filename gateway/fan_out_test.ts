// Several destinations: the first is waited for, the others follow at their own pace.
import {
  err,
  type FlushBatch,
  LakeSyncError,
  type LogStore,
  ok,
  type Scheduler,
  systemRandom,
  unwrapOrThrow,
} from "@lakesync/core";
import { insertTodo, makeDelta, ManualClock, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { Flusher } from "./flush.ts";
import { STALL_MS } from "./flush_write.ts";
import { memoryLogStore } from "./store_memory.ts";
import { FakeDestination } from "./testdata/fake_destination.ts";
import { openGateway, PROTO, push, storeWith, TODOS } from "./testdata/fixture.ts";

const away = new LakeSyncError("OFFLINE", "Not there");

/** A destination that does what it is told before it writes. */
class Troubled extends FakeDestination {
  before: (batch: FlushBatch) => Promise<void> = () => Promise.resolve();
  writes = 0;

  override async write(batch: FlushBatch): ReturnType<FakeDestination["write"]> {
    this.writes++;
    await this.before(batch);
    return await super.write(batch);
  }
}

function open(options: { clock: Scheduler; store: LogStore }): {
  flusher: Flusher;
  lake: FakeDestination;
  second: Troubled;
  logged: unknown[][];
} {
  const logged: unknown[][] = [];
  const lake = new FakeDestination("lake");
  const second = new Troubled("second");
  const flusher = new Flusher({
    store: options.store,
    destinations: [lake, second],
    tables: () => Promise.resolve(ok([TODOS, PROTO])),
    random: systemRandom,
    scheduler: options.clock,
    logger: { log: (_, event, facts) => void logged.push([event, facts?.["code"]]) },
  });
  return { flusher, lake, second, logged };
}

let hlc = 0;
async function grow(store: LogStore, table = "todos"): Promise<void> {
  const gateway = await openGateway({ store });
  const rowId = `r${++hlc}`;
  const row = insertTodo(rowId, hlc);
  const { deltaId: _, ...content } = row;
  await push(gateway, [
    table === "todos" ? row : makeDelta({ ...content, table, columns: [] }),
  ]);
}

async function seqsOf(store: LogStore, table: string): Promise<number[]> {
  const entries = unwrapOrThrow(await store.read(0, { limit: 10_000 }));
  return entries.filter((entry) => entry.table === table).map(({ seq }) => seq);
}

/** Lets everything happen that needs no time. */
const settle = (clock: ManualClock) => clock.advance(0);

test("while a destination hangs, the primary goes on; given up, it is tried again and catches up", async () => {
  const clock = new ManualClock();
  let reads = 0;
  const memory = memoryLogStore({ clock });
  const store = storeWith(memory, {
    read: (after, options) => {
      reads++;
      return memory.read(after, options);
    },
  });
  const { flusher, lake, second, logged } = open({ clock, store });
  const hang = Promise.withResolvers<void>();
  second.before = () => hang.promise;
  for (let i = 1; i <= 20; i++) {
    await grow(memory);
    const { deltas } = unwrapOrThrow(await flusher.flush());
    assertEquals([deltas, lake.seqs("todos").length], [1, i]);
  }
  assertEquals(second.writes, 1);
  // Nothing is read for one that does not take it: two reads a flush of the primary, one plan.
  assert(reads <= 20 * 2 + 2, `${reads} reads`);
  assertEquals(unwrapOrThrow(await flusher.flushedSeqs()), new Map([["lake", 20], ["second", 0]]));
  second.before = () => Promise.resolve();
  await clock.advance(STALL_MS);
  assertEquals(logged, [["flush.failed", "TIMEOUT"]]);
  assertEquals(second.seqs("todos"), await seqsOf(memory, "todos"));
  assertEquals(flusher.failures().size, 0);
  // What hung comes through now, too late to double anything.
  hang.resolve();
  await settle(clock);
  assertEquals(second.seqs("todos"), await seqsOf(memory, "todos"));
  await flusher.close();
});

test("a destination that is slow, without a sign, is given more time at each try and gets through once", async () => {
  const clock = new ManualClock();
  const store = memoryLogStore({ clock });
  const { flusher, second, logged } = open({ clock, store });
  let given: AbortSignal | undefined;
  // It begins from the start each time, and needs more than three times as long as it is waited for.
  second.before = async ({ signal }) => {
    given = signal;
    await clock.delay(3.5 * STALL_MS, { signal: signal! });
    signal!.throwIfAborted();
  };
  await grow(store);
  unwrapOrThrow(await flusher.flush());
  await clock.advance(STALL_MS);
  assertEquals([logged, given?.aborted], [[["flush.failed", "TIMEOUT"]], true]);
  await grow(store);
  unwrapOrThrow(await flusher.flush());
  await clock.advance(1_000 + 2 * STALL_MS);
  assertEquals(logged.length, 2);
  await clock.advance(2_000 + 4 * STALL_MS);
  assertEquals(logged.length, 2);
  assertEquals(second.seqs("todos"), await seqsOf(store, "todos"));
  assertEquals([second.writes, flusher.failures().size], [3, 0]);
  await flusher.close();
});

test("a destination that fails 50 times is tried again with growing pauses, and then has everything once", async () => {
  const clock = new ManualClock();
  const store = memoryLogStore({ clock });
  const { flusher, lake, second } = open({ clock, store });
  const at: number[] = [];
  second.before = () => {
    at.push(clock.now());
    return at.length <= 50 ? Promise.reject(away) : Promise.resolve();
  };
  let flushes = 0;
  while (flusher.failures().size > 0 || flushes < 10) {
    await grow(store);
    unwrapOrThrow(await flusher.flush());
    assertEquals(lake.seqs("todos").length, ++flushes);
    await clock.advance(60_000);
  }
  const pauses = at.slice(1).map((time, i) => time - at[i]!);
  assertEquals(pauses.slice(0, 10), [
    ...[1, 2, 4, 8, 16, 32, 64, 128, 256, 300].map((seconds) => seconds * 1_000),
  ]);
  assertEquals(pauses.slice(10, 50), Array(40).fill(300_000));
  assertEquals(second.seqs("todos"), await seqsOf(store, "todos"));
  await flusher.close();
});

test("a destination that answers late holds up nobody, and takes in one batch what came meanwhile", async () => {
  const clock = new ManualClock();
  const store = memoryLogStore({ clock });
  const { flusher, lake, second } = open({ clock, store });
  second.before = () => clock.delay(10_000);
  for (let i = 1; i <= 30; i++) {
    await grow(store);
    unwrapOrThrow(await flusher.flush());
    assertEquals(lake.seqs("todos").length, i);
    await clock.advance(1_000);
  }
  await clock.advance(20_000);
  assertEquals(second.seqs("todos"), await seqsOf(store, "todos"));
  assertEquals(second.batches.map(({ seqs }) => seqs.length), [1, 9, 10, 10]);
  await flusher.close();
});

test("who asks to wait hears of all destinations, but for no longer than it said", async () => {
  const clock = new ManualClock();
  const store = memoryLogStore({ clock });
  const { flusher, second } = open({ clock, store });
  await grow(store);
  assertEquals(unwrapOrThrow(await flusher.flush({ waitMs: 5_000 })), {
    flushedSeq: 1,
    deltas: 2,
    objects: 4,
  });
  await grow(store);
  second.before = () => clock.delay(60_000);
  const flushing = flusher.flush({ waitMs: 5_000 });
  await clock.advance(5_000);
  assertEquals(unwrapOrThrow(await flushing), { flushedSeq: 1, deltas: 1, objects: 2 });
  await clock.advance(55_000);
  assertEquals(unwrapOrThrow(await flusher.flushedSeq()), 2);
  await flusher.close();
});

test("a flush that waits does not mind a pause, one that does not leaves it be", async () => {
  const clock = new ManualClock();
  const store = memoryLogStore({ clock });
  const { flusher, second } = open({ clock, store });
  second.before = () => Promise.reject(away);
  await grow(store);
  unwrapOrThrow(await flusher.flush());
  await settle(clock);
  unwrapOrThrow(await flusher.flush());
  await settle(clock);
  assertEquals(second.writes, 1);
  unwrapOrThrow(await flusher.flush({ waitMs: 1 }));
  assertEquals([second.writes, flusher.failures().get("second")?.attempts], [2, 2]);
  await flusher.close();
  assertEquals(clock.pending, 0, "nothing waits after a close");
});

test("each destination is flushed by one instance, not all by the same", async () => {
  const clock = new ManualClock();
  const store = memoryLogStore({ clock });
  const one = open({ clock, store });
  const two = open({ clock, store });
  one.second.before = () => clock.delay(30_000);
  await grow(store);
  unwrapOrThrow(await one.flusher.flush());
  await grow(store);
  unwrapOrThrow(await two.flusher.flush({ waitMs: 1 }));
  assertEquals([two.lake.seqs("todos"), two.second.seqs("todos")], [[1, 2], []]);
  assertEquals(two.flusher.failures().size, 0, "another's work is no failure");
  await clock.advance(30_000);
  assertEquals(one.second.seqs("todos"), [1]);
  await Promise.all([one.flusher.close(), two.flusher.close()]);
});

test("a table that a destination refuses holds up none of its others, also beyond the trim", async () => {
  const clock = new ManualClock();
  const store = memoryLogStore({ clock });
  const { flusher, lake } = open({ clock, store });
  const write = lake.write.bind(lake);
  let refuses = true;
  lake.write = async (batch) => {
    if (!refuses || !batch.tables.has("todos")) return await write(batch);
    const tables = new Map([...batch.tables].filter(([table]) => table !== "todos"));
    const written = unwrapOrThrow(await write({ ...batch, tables }));
    const error = new LakeSyncError("CONFLICT", 'Table "todos" has another type');
    return ok(new Map([...written, ["todos", { status: "failed", error }]]));
  };
  for (let i = 1; i <= 3; i++) {
    await grow(store);
    await grow(store, "__proto__");
    const flushed = await flusher.flush();
    assertEquals(flushed.ok || flushed.error.code, "CONFLICT");
    assertEquals(lake.seqs("__proto__").length, i);
  }
  assertEquals([lake.seqs("todos"), unwrapOrThrow(await flusher.flushedSeq())], [[], 0]);
  assertEquals(lake.seqs("__proto__"), await seqsOf(store, "__proto__"));
  refuses = false;
  unwrapOrThrow(await flusher.flush());
  assertEquals(lake.seqs("todos"), await seqsOf(store, "todos"));
  assertEquals(unwrapOrThrow(await flusher.flushedSeq()), 6);

  // The refused table is cut off: the other one, without news since, is not.
  refuses = true;
  await grow(store);
  assert(!(await flusher.flush()).ok);
  unwrapOrThrow(await store.trim({ through: 7 }));
  await grow(store, "__proto__");
  const refused = await flusher.flush();
  assertEquals(refused.ok || refused.error.details, { table: "todos", after: 6 });
  assertEquals(lake.seqs("__proto__").at(-1), 8);
  await flusher.close();
});

test("a table whose watermark cannot be read is told of, and the others go on", async () => {
  const clock = new ManualClock();
  const store = memoryLogStore({ clock });
  const { flusher, lake } = open({ clock, store });
  const marks = lake.watermarks.bind(lake);
  let error = new LakeSyncError("CORRUPT", 'Table "todos" is damaged');
  lake.watermarks = (tables) =>
    tables.includes("todos") ? Promise.resolve(err(error)) : marks(tables);
  await grow(store);
  await grow(store, "__proto__");
  const flushed = await flusher.flush();
  assertEquals(flushed.ok || flushed.error.message, 'Table "todos" is damaged');
  assertEquals(lake.seqs("__proto__"), [2]);
  assertEquals(unwrapOrThrow(await flusher.flushedSeq()), 0);
  // One that is away as a whole is not asked for each table.
  error = away;
  const asked: number[] = [];
  lake.watermarks = (tables) => {
    asked.push(tables.length);
    return Promise.resolve(err(error));
  };
  assert(!(await flusher.flush()).ok);
  assertEquals(asked, [2]);
  lake.watermarks = marks;
  unwrapOrThrow(await flusher.flush());
  assertEquals([lake.seqs("todos"), lake.seqs("__proto__")], [[1], [2]]);
  await flusher.close();
});

test("stats tell what a destination fails with, and how often", async () => {
  const clock = new ManualClock();
  const second = new Troubled("second");
  second.before = () => Promise.reject(away);
  const gateway = await openGateway({
    destinations: [new FakeDestination("lake"), second],
    scheduler: clock,
  });
  await push(gateway, [insertTodo("a", 1)]);
  unwrapOrThrow(await gateway.flush({ waitMs: 1 }));
  const { destinations } = unwrapOrThrow(await gateway.stats());
  assertEquals(destinations, {
    lake: { flushedSeq: 1, lag: 0, cutOff: false },
    second: {
      flushedSeq: 0,
      lag: 1,
      cutOff: false,
      attempts: 1,
      error: { code: "OFFLINE", message: "Not there" },
    },
  });
  second.before = () => Promise.resolve();
  await clock.advance(1_000);
  const later = unwrapOrThrow(await gateway.stats()).destinations["second"];
  assertEquals(later, { flushedSeq: 1, lag: 0, cutOff: false });
  await gateway.close();
});

test("stats do not wait for a destination that does not answer", async () => {
  const clock = new ManualClock();
  const mute = Object.assign(new FakeDestination("mute"), {
    stats: () => new Promise<never>(() => {}),
  });
  const gateway = await openGateway({ destinations: [mute], scheduler: clock });
  const asked = gateway.stats();
  await clock.advance(2_000);
  const { destinations } = unwrapOrThrow(await asked);
  assertEquals(destinations["mute"], { flushedSeq: 0, lag: 0, cutOff: false });
  await gateway.close();
});
