import { consumeFlushJobs, objectStoreJobs, runFlushJobs } from "@lakesync/adapter-database";
import { memoryObjectStore } from "@lakesync/adapter-memory";
import {
  err,
  LakeSyncError,
  type Materialisable,
  type ObjectStore,
  ok,
  type Result,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { ManualClock, Prng, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";

const table = (name: string, version = 1): TableSchema => ({ table: name, version, columns: [] });
const offline: Result<never> = err(new LakeSyncError("OFFLINE", "the database is away"));
const place = (store: ObjectStore) => ({ store, prefix: "jobs/pg" });

/** Notes what is materialised, or does what it is told instead. */
class Target implements Materialisable {
  readonly seen: string[] = [];
  before: (schema: TableSchema) => Promise<Result<void>> = () => Promise.resolve(ok(undefined));

  async materialise(schema: TableSchema): ReturnType<Materialisable["materialise"]> {
    const ready = await this.before(schema);
    if (!ready.ok) return ready;
    this.seen.push(`${schema.table} ${schema.version}`);
    return ok({ upserted: 1, deleted: 0, misfits: new Map() });
  }
}

async function put(store: ObjectStore, ...schemas: TableSchema[]): Promise<void> {
  const jobs = objectStoreJobs(place(store));
  await jobs.hold(schemas);
  await jobs.start(new Set(schemas.map(({ table }) => table)));
}

async function keys(store: ObjectStore): Promise<string[]> {
  const { objects } = unwrapOrThrow(await store.list("jobs/"));
  return objects.map(({ key }) => key.split("/")[2]!).toSorted();
}

/** Dies at the nth thing that it asks of its store: nothing after it is done. */
function dyingAt(store: ObjectStore, nth: number): ObjectStore {
  let asked = 0;
  const dead = () => ++asked >= nth;
  const gone = () => Promise.resolve(err(new LakeSyncError("STORAGE_ERROR", "The process ended")));
  return {
    location: store.location,
    put: (...given) => dead() ? gone() : store.put(...given),
    get: (...given) => dead() ? gone() : store.get(...given),
    head: (...given) => dead() ? gone() : store.head(...given),
    list: (...given) => dead() ? gone() : store.list(...given),
    delete: (...given) => dead() ? gone() : store.delete(...given),
  };
}

test("a consumer sees to each table once, by its newest schema, and leaves nothing behind but what it tells", async () => {
  const store = memoryObjectStore();
  const clock = new ManualClock();
  const target = new Target();
  await put(store, table("a"), table("__proto__"));
  await put(store, table("a", 2));
  const options = { ...place(store), with: target, clock };
  assertEquals(await runFlushJobs(options, { holder: "me" }), ok({ done: 2, waiting: 0 }));
  assertEquals(target.seen.toSorted(), ["__proto__ 1", "a 2"]);
  assertEquals(await keys(store), ["state.json"]);
  assertEquals(await runFlushJobs(options, { holder: "me" }), ok({ done: 0, waiting: 0 }));
  const stats = unwrapOrThrow(await objectStoreJobs(place(store)).stats());
  assertEquals(stats, { done: 2, tables: new Map() });
});

test("a table that fails waits longer each time, is told of in stats, and the others go on", async () => {
  const store = memoryObjectStore();
  const clock = new ManualClock();
  const target = new Target();
  const failures: string[] = [];
  let away = true;
  target.before = ({ table }) => Promise.resolve(table === "a" && away ? offline : ok(undefined));
  const options = {
    ...place(store),
    with: target,
    clock,
    onFailure: ({ table, attempts }: { table: string | undefined; attempts: number }) =>
      failures.push(`${table} ${attempts}`),
  };
  await put(store, table("a"), table("b"));
  assertEquals(await runFlushJobs(options, { holder: "me" }), ok({ done: 1, waiting: 1 }));
  // Within the pause it is left alone, also by another process.
  assertEquals(await runFlushJobs(options, { holder: "other" }), ok({ done: 0, waiting: 1 }));
  for (const seconds of [1, 2, 4]) {
    await put(store, table("a"));
    await clock.advance(seconds * 1_000);
    await runFlushJobs(options, { holder: "me" });
  }
  assertEquals([target.seen, failures], [["b 1"], ["a 1", "a 2", "a 3", "a 4"]]);
  const jobs = objectStoreJobs(place(store));
  const told = unwrapOrThrow(await jobs.stats()).tables.get("a");
  assertEquals([told?.waiting, told?.attempts, told?.error?.code], [true, 4, "OFFLINE"]);
  assertEquals((await keys(store)).filter((key) => key === "jobs").length, 1, "they are made one");
  away = false;
  await clock.advance(8_000);
  assertEquals(await runFlushJobs(options, { holder: "me" }), ok({ done: 1, waiting: 0 }));
  assertEquals(unwrapOrThrow(await jobs.stats()), { done: 2, tables: new Map() });
});

test("one process at a time has the jobs; a dead one's are taken over when its lease is over", async () => {
  const store = memoryObjectStore();
  const clock = new ManualClock();
  const hanging = new Target();
  const gate = Promise.withResolvers<Result<void>>();
  hanging.before = () => gate.promise;
  const target = new Target();
  await put(store, table("a"));
  const first = runFlushJobs({ ...place(store), with: hanging, clock }, { holder: "first" });
  await clock.advance(0);
  const options = { ...place(store), with: target, clock };
  assertEquals(await runFlushJobs(options, { holder: "second" }), ok({ done: 0, waiting: 0 }));
  await clock.advance(60_000);
  assertEquals(await runFlushJobs(options, { holder: "second" }), ok({ done: 1, waiting: 0 }));
  // The first was only slow: it does its table again, and harms nobody.
  gate.resolve(ok(undefined));
  assertEquals(await first, ok({ done: 1, waiting: 0 }));
  assertEquals([target.seen, hanging.seen], [["a 1"], ["a 1"]]);
  assertEquals(await keys(store), ["state.json"]);
});

test("a consumer that dies at any step loses no job: the next one does what is left", async () => {
  for (let nth = 1;; nth++) {
    const store = memoryObjectStore();
    const clock = new ManualClock();
    const target = new Target();
    let fails = 1;
    target.before = ({ table }) =>
      Promise.resolve(table === "b" && fails-- > 0 ? offline : ok(undefined));
    await put(store, table("a"), table("b"));
    await put(store, table("c"));
    const died = await runFlushJobs(
      { ...place(dyingAt(store, nth)), with: target, clock },
      { holder: "dying" },
    );
    await clock.advance(60_000);
    for (let i = 0; i < 2; i++) {
      unwrapOrThrow(
        await runFlushJobs({ ...place(store), with: target, clock }, { holder: "next" }),
      );
      await clock.advance(1_000);
    }
    assertEquals(new Set(target.seen), new Set(["a 1", "b 1", "c 1"]), `died at ${nth}`);
    assertEquals(await keys(store), ["state.json"], `died at ${nth}`);
    if (died.ok) return assert(nth > 10);
  }
});

test("a gateway that dies at any step of a write loses no job either", async () => {
  for (let nth = 1; nth <= 4; nth++) {
    const store = memoryObjectStore();
    const clock = new ManualClock();
    const target = new Target();
    let committed = false;
    target.before = () => Promise.resolve(committed ? ok(undefined) : offline);
    const dying = objectStoreJobs(place(dyingAt(store, nth)));
    await dying.hold([table("a")]);
    committed = true;
    await dying.start(new Set(["a"]));
    // The next process begins what was held, and its first write everything.
    const next = objectStoreJobs(place(store));
    await next.resume();
    if (nth === 1) await put(store, table("a"));
    unwrapOrThrow(await runFlushJobs({ ...place(store), with: target, clock }, { holder: "me" }));
    assertEquals(target.seen, ["a 1"], `died at ${nth}`);
  }
});

test("what a process holds that never comes back is seen to after a quarter of an hour", async () => {
  const clock = new ManualClock();
  const store = memoryObjectStore({ clock });
  const target = new Target();
  const options = { ...place(store), with: target, clock };
  await objectStoreJobs(place(store)).hold([table("a")]);
  assertEquals(await runFlushJobs(options, { holder: "me" }), ok({ done: 0, waiting: 0 }));
  await clock.advance(901_000);
  assertEquals(await runFlushJobs(options, { holder: "me" }), ok({ done: 1, waiting: 0 }));
  assertEquals(await keys(store), ["state.json"]);
});

test("a job that could not be put comes with the next one", async () => {
  const store = memoryObjectStore();
  let full = true;
  const failing: ObjectStore = {
    location: store.location,
    put: (...given) =>
      full ? Promise.resolve(err(new LakeSyncError("STORAGE_ERROR", "full"))) : store.put(...given),
    get: (...given) => store.get(...given),
    head: (...given) => store.head(...given),
    list: (...given) => store.list(...given),
    delete: (...given) => store.delete(...given),
  };
  const jobs = objectStoreJobs(place(failing));
  await jobs.hold([table("a")]);
  await jobs.start(new Set(["a"]));
  full = false;
  await jobs.hold([table("b")]);
  await jobs.start(new Set(["b"]));
  const { tables } = unwrapOrThrow(await jobs.stats());
  assertEquals([...tables.keys()], ["a", "b"]);
});

test("consumers and gateways that come and go at random leave every table seen to after its last write", async () => {
  const prng = new Prng(42);
  for (let round = 0; round < 30; round++) {
    const store = memoryObjectStore();
    const clock = new ManualClock();
    /** The version that was committed, and the one that people see, by table. */
    const there = new Map<string, number>();
    const shown = new Map<string, number>();
    const target = new Target();
    target.before = ({ table }) => {
      if (prng.chance(0.2)) return Promise.resolve(offline);
      shown.set(table, there.get(table) ?? 0);
      return Promise.resolve(ok(undefined));
    };
    for (let i = 0; i < 15; i++) {
      const name = prng.pick(["a", "b", "c"]);
      if (prng.chance(0.6)) {
        const jobs = objectStoreJobs(place(store));
        await jobs.hold([table(name)]);
        there.set(name, (there.get(name) ?? 0) + 1);
        await jobs.start(new Set([name]));
      } else {
        const nth = prng.int(1, 20);
        const dying = { ...place(dyingAt(store, nth)), with: target, clock };
        await runFlushJobs(dying, { holder: `c${i}` });
      }
      await clock.advance(prng.int(0, 30_000));
    }
    for (let i = 0; i < 40; i++) {
      await clock.advance(300_000);
      unwrapOrThrow(
        await runFlushJobs({ ...place(store), with: target, clock }, { holder: "last" }),
      );
    }
    assertEquals([...shown].toSorted(), [...there].toSorted());
  }
});

test("consumeFlushJobs() looks again and again, until its signal", async () => {
  const store = memoryObjectStore();
  const clock = new ManualClock();
  const target = new Target();
  const stop = new AbortController();
  const { signal } = stop;
  const consuming = consumeFlushJobs({
    ...place(store),
    with: target,
    clock,
    scheduler: clock,
    signal,
  });
  await clock.advance(5_000);
  await put(store, table("a"));
  await clock.advance(5_000);
  assertEquals(target.seen, ["a 1"]);
  await put(store, table("b"));
  await clock.advance(5_000);
  assertEquals(target.seen, ["a 1", "b 1"]);
  stop.abort();
  await consuming;
});
