import fc from "fast-check";
import { type Delta, LakeSyncError, type ObjectStore, ok, unwrapOrThrow } from "@lakesync/core";
import { faultyObjectStore, ManualClock, memoryObjectStore, test } from "@lakesync/testing";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { compactTable } from "./compact.ts";
import { filesCatalogue } from "./catalogue_files.ts";
import { streamingEngine } from "./compact_fold.ts";
import { maintainLake, type MaintainLakeOptions, type MaintenanceStep } from "./maintain.ts";
import { checkLake, copyStore, dyingStore } from "./testdata/lake_check.ts";
import { allKeys, NOON } from "./testdata/lake_rows.ts";
import { ALL, deltas, flushDeltas } from "./testdata/state_rows.ts";

const DAY = 86_400_000;

/** Maintenance as these tests do it: little is kept. */
function maintain(
  store: ObjectStore,
  clock: ManualClock,
  options: Partial<MaintainLakeOptions> = {},
) {
  return maintainLake({
    store,
    clock,
    minSnapshots: 2,
    maxSnapshots: 3,
    orphanAgeMs: 3 * DAY,
    engine: streamingEngine({ changesAtOnce: 10 }),
    ...options,
  });
}

/** A lake of so many flushes, a few deltas each. */
async function lakeOf(store: ObjectStore, flushes: number): Promise<Delta[]> {
  const all: Delta[] = [];
  for (
    const batch of fc.sample(fc.array(deltas, { minLength: 1, maxLength: 3 }), {
      seed: 42,
      numRuns: flushes,
    })
  ) {
    await flushDeltas(store, batch, { after: all.length });
    all.push(...batch);
  }
  return all;
}

const stepsOf = (steps: readonly MaintenanceStep[]) =>
  steps.map(({ step, table }) => `${step} ${table}`);

test("A lake maintained twice has what it had, in few files, and the second time nothing is done", async () => {
  const clock = new ManualClock(NOON);
  const store = memoryObjectStore({ clock });
  const all = await lakeOf(store, 12);
  const steps = unwrapOrThrow(await maintain(store, clock)).steps;
  assertEquals(stepsOf(steps), ["compact all", "rewrite all_changes", "expire all_changes"]);
  assert(await checkLake(store, all) >= 4);
  await clock.advance(4 * DAY);
  const later = unwrapOrThrow(await maintain(store, clock)).steps;
  assertEquals(stepsOf(later), ["orphans all_changes"]);
  await checkLake(store, all);
  assertEquals(stepsOf(unwrapOrThrow(await maintain(store, clock)).steps), []);
});

test("Whichever write maintenance is killed at, the lake is whole, and the next run ends it", async () => {
  const clock = new ManualClock(NOON);
  const before = memoryObjectStore({ clock });
  const all = await lakeOf(before, 10);
  unwrapOrThrow(await compactTable({ store: before, table: "all", buckets: 2, clock }));
  unwrapOrThrow(await maintain(before, clock));
  const more = fc.sample(deltas, { seed: 43, numRuns: 8 });
  for (const delta of more) {
    await flushDeltas(before, [delta], { after: all.length });
    all.push(delta);
  }
  await clock.advance(4 * DAY);
  const copy = async (): Promise<ObjectStore> => {
    const store = memoryObjectStore({ clock: { now: () => NOON } });
    await copyStore(before, store);
    return store;
  };
  const writes: number[] = [];
  const watched = faultyObjectStore(await copy(), ({ name, count }) => {
    if (name === "put" || name === "delete") writes.push(count);
    return undefined;
  });
  unwrapOrThrow(await maintain(watched, clock));
  assert(writes.length > 15, `${writes.length} writes`);
  for (const at of writes) {
    for (const done of [false, true]) {
      const store = await copy();
      await maintain(dyingStore(store, { at, done }), clock);
      await checkLake(store, all);
      const again = unwrapOrThrow(await maintain(store, clock));
      assertEquals(again.status, "done");
      assertEquals(again.steps.filter(({ step }) => step === "failed"), []);
      await checkLake(store, all);
    }
  }
});

const FORMS = fc.constantFrom("rewrite", "positions", "vectors", "equality");

test("Whatever is flushed, maintained and killed in whatever order, rows are the merge of the deltas", async () => {
  const command = fc.oneof(
    fc.array(deltas, { minLength: 1, maxLength: 6 }).map((batch) => ({ batch })),
    fc.record({ at: fc.integer({ min: 1, max: 90 }), done: fc.boolean(), deletes: FORMS }),
    fc.record({ days: fc.integer({ min: 0, max: 5 }), deletes: FORMS }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 3, maxLength: 14 }), async (commands) => {
      const clock = new ManualClock(NOON);
      const store = memoryObjectStore({ clock });
      const all: Delta[] = [];
      for (const one of commands) {
        if ("batch" in one) {
          await flushDeltas(store, one.batch, { after: all.length, at: clock.now() });
          all.push(...one.batch);
        } else if ("at" in one) {
          await maintain(dyingStore(store, one), clock, { deletes: one.deletes });
        } else {
          await clock.advance(one.days * DAY);
          const { steps } = unwrapOrThrow(await maintain(store, clock, { deletes: one.deletes }));
          assertEquals(steps.filter(({ step }) => step === "failed"), []);
        }
        if (all.length > 0) await checkLake(store, all);
      }
    }),
    { seed: 42, numRuns: 40 },
  );
});

test("A dry run tells what a run does, and writes nothing", async () => {
  const clock = new ManualClock(NOON);
  const store = memoryObjectStore({ clock });
  await lakeOf(store, 9);
  await clock.advance(9 * DAY);
  const keys = await allKeys(store);
  const steps = unwrapOrThrow(await maintain(store, clock, { dryRun: true })).steps;
  // Without a state table the changelog's expiry and orphans are as they would be before the merge.
  assertEquals(stepsOf(steps), [
    "compact all",
    "rewrite all_changes",
    "expire all_changes",
  ]);
  assertEquals(await allKeys(store), keys);
});

test("No file younger than the safety age goes, nor one that somebody says is in use", async () => {
  const clock = new ManualClock(NOON);
  const store = memoryObjectStore({ clock });
  const all = await lakeOf(store, 9);
  const stray = "all_changes/data/_commit_ts_day=2026-11-20/stray.parquet";
  const used = "all_changes/data/_commit_ts_day=2026-11-20/used.parquet";
  const other = "all_changes/elsewhere/stray.parquet";
  for (const key of [stray, used, other]) unwrapOrThrow(await store.put(key, new Uint8Array(3)));
  const inUse = (key: string) => key === used;
  await clock.advance(3 * DAY);
  unwrapOrThrow(await maintain(store, clock, { inUse }));
  assert((await allKeys(store)).includes(stray));
  await clock.advance(1);
  unwrapOrThrow(await maintain(store, clock, { inUse }));
  const keys = await allKeys(store);
  assertEquals([stray, used, other].map((key) => keys.includes(key)), [false, true, true]);
  await checkLake(store, all);
  await assertRejects(() => maintain(store, clock, { orphanAgeMs: 1000 }), TypeError);
});

test("Who does not get the lease does nothing, and who loses it stops", async () => {
  const clock = new ManualClock(NOON);
  const store = memoryObjectStore({ clock });
  const all = await lakeOf(store, 9);
  const keys = await allKeys(store);
  let asked = 0;
  let released = 0;
  const leaseFor = (times: number) => ({
    acquire: () => Promise.resolve(ok(++asked <= times)),
    release: () => {
      released++;
      return Promise.resolve(ok(undefined));
    },
  });
  const busy = unwrapOrThrow(await maintain(store, clock, { lease: leaseFor(0) }));
  assertEquals([busy, await allKeys(store), released], [{ status: "busy", steps: [] }, keys, 1]);
  asked = 0;
  const lost = unwrapOrThrow(await maintain(store, clock, { lease: leaseFor(1) }));
  assertEquals([lost.status, stepsOf(lost.steps)], ["busy", ["compact all"]]);
  await checkLake(store, all);
});

test("A flush that commits while small files are merged keeps its rows, and the merge is done", async () => {
  const clock = new ManualClock(NOON);
  const store = memoryObjectStore({ clock });
  const all = await lakeOf(store, 12);
  let flushed = 0;
  const racing: ObjectStore = {
    ...store,
    put: async (key, body, options) => {
      // Just before the merge commits its version, a flush commits one.
      if (/all_changes\/metadata\/v\d+\./.test(key) && flushed < 3) {
        flushed++;
        const [delta] = fc.sample(deltas, { seed: flushed, numRuns: 1 });
        await flushDeltas(store, [delta!], { after: all.length });
        all.push(delta!);
      }
      return await store.put(key, body, options);
    },
  };
  const { steps } = unwrapOrThrow(await maintain(racing, clock));
  assertEquals(flushed, 3);
  assertEquals(steps.filter(({ step }) => step === "failed"), []);
  assert(stepsOf(steps).includes("rewrite all_changes"));
  await checkLake(store, all);
  unwrapOrThrow(await maintain(store, clock));
  await checkLake(store, all);
});

test("Of two that merge the same small files one gives up, and no row is there twice", async () => {
  const clock = new ManualClock(NOON);
  const store = memoryObjectStore({ clock });
  const all = await lakeOf(store, 12);
  let overtaken = false;
  const racing: ObjectStore = {
    ...store,
    put: async (key, body, options) => {
      if (/all_changes\/metadata\/v\d+\./.test(key) && !overtaken) {
        overtaken = true;
        unwrapOrThrow(await maintain(store, clock));
      }
      return await store.put(key, body, options);
    },
  };
  const { steps } = unwrapOrThrow(await maintain(racing, clock));
  assert(overtaken);
  const failed = steps.flatMap((step) => step.step === "failed" ? [step] : []);
  assertEquals(failed.map(({ during, error }) => [during, error.code]), [["rewrite", "CONFLICT"]]);
  await checkLake(store, all);
});

test("Two compactions at once fold each change once, and one that is aborted leaves nothing", async () => {
  const clock = new ManualClock(NOON);
  const store = memoryObjectStore({ clock });
  const all = await lakeOf(store, 6);
  const aborted = AbortSignal.abort(new Error("enough"));
  const stopped = await maintain(store, clock, { signal: aborted });
  assert(!stopped.ok && stopped.error instanceof LakeSyncError && stopped.error.code === "ABORTED");
  await Promise.all([1, 2, 3].map(() => maintain(store, clock).then(unwrapOrThrow)));
  await checkLake(store, all);
  const version = unwrapOrThrow(await filesCatalogue(store).load("all"));
  assertEquals(version?.metadata.properties["lakesync.schema"], JSON.stringify(ALL));
});
