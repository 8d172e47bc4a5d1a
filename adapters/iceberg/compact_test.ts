import { readdir } from "node:fs/promises";
import process from "node:process";
import fc from "fast-check";
import { type Delta, type ObjectStore, unwrapOrThrow } from "@lakesync/core";
import { fileObjectStore, memoryObjectStore, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { filesCatalogue } from "./catalogue_files.ts";
import { compactTable } from "./compact.ts";
import { maintainLake } from "./maintain.ts";
import { duckdbEngine } from "./compact_duckdb.ts";
import type { CompactionEngine } from "./compact_engine.ts";
import { streamingEngine } from "./compact_fold.ts";
import { allKeys } from "./testdata/lake_rows.ts";
import {
  ALL,
  deltas,
  flushDeltas,
  manyRows,
  oracle,
  readRegisters,
  readState,
  visible,
} from "./testdata/state_rows.ts";

/** Registers as they are compared: rows of which nothing is known are no rows. */
function registers(rows: ReturnType<typeof oracle>): unknown {
  return [...rows].filter(([, { life, columns }]) => life !== undefined || columns.size > 0)
    .map(([id, { life, columns }]) => [
      id,
      life,
      [...columns].sort(([a], [b]) => a < b ? -1 : 1),
    ]).sort(([a], [b]) => String(a) < String(b) ? -1 : 1);
}

const ENGINES = {
  streaming: () => Promise.resolve(streamingEngine({ changesAtOnce: 4 })),
  DuckDB: () => duckdbEngine({ changesAtOnce: 4 }),
} as const;

/** So many rows that nobody changes: they are to be as they were. */
const BYSTANDERS: readonly Delta[] = manyRows(30).map((delta) => ({ ...delta, clientId: "zoe" }));

let made = 0;

/** Where lakes are, and how many histories are tried there. */
const PLACES = {
  "in memory": { make: () => memoryObjectStore(), numRuns: 50 },
  "in files": {
    make: (directory: string) => fileObjectStore({ directory: `${directory}/${made++}` }),
    numRuns: 10,
  },
} as const;

for (const [name, makeEngine] of Object.entries(ENGINES)) {
  for (const [place, { make, numRuns }] of Object.entries(PLACES)) {
    const title =
      `However changes are batched, the ${name} engine leaves every register as the merge does, ${place}`;
    test({ name: title, timeoutMs: 120_000 }, async () => {
      const engine = await makeEngine();
      assert(engine !== undefined);
      await withTempDir((directory) => foldsAsMerged(engine, () => make(directory), numRuns));
    });
  }
}

test("However many changes there are, each file of the changelog is read once, and nothing is left behind", () =>
  withTempDir(async (directory) => {
    const store = memoryObjectStore();
    const all = manyRows(200);
    for (let start = 0; start < all.length; start += 50) {
      await flushDeltas(store, all.slice(start, start + 50), { after: start });
    }
    const read: string[] = [];
    const counting: ObjectStore = {
      ...store,
      get: (key, options) => {
        if (key.startsWith("all_changes/data/")) read.push(key);
        return store.get(key, options);
      },
    };
    const before = process.env["TMPDIR"];
    process.env["TMPDIR"] = directory;
    try {
      const engine = streamingEngine({ changesAtOnce: 10 });
      unwrapOrThrow(await compactTable({ store: counting, table: "all", buckets: 32, engine }));
    } finally {
      if (before === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = before;
    }
    assertEquals([read.length, new Set(read).size], [4, 4]);
    assertEquals(await readState(store, "all"), visible(oracle(all)));
    assertEquals(await readdir(directory), []);
  }));

/** Holds an engine to the merge that all of LakeSync shares, however rows that are gone are told of. */
async function foldsAsMerged(
  engine: CompactionEngine,
  makeStore: () => ObjectStore,
  numRuns: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.array(deltas, { minLength: 1, maxLength: 12 }), fc.boolean()), {
        minLength: 1,
        maxLength: 6,
      }),
      fc.constantFrom(1, 2, 5),
      fc.infiniteStream(fc.constantFrom("rewrite", "positions", "vectors", "equality")),
      fc.boolean(),
      async (batches, buckets, deletes, crowded) => {
        const store = makeStore();
        const all: Delta[] = crowded ? [...BYSTANDERS] : [];
        const compact = async () =>
          unwrapOrThrow(
            await compactTable({
              store,
              table: "all",
              buckets,
              deletes: deletes.next().value,
              engine,
            }),
          );
        if (crowded) {
          await flushDeltas(store, BYSTANDERS, { after: 0 });
          await compact();
        }
        for (const [batch, compacts] of batches) {
          await flushDeltas(store, batch, { after: all.length });
          all.push(...batch);
          if (!compacts) continue;
          await compact();
          assertEquals(await readState(store, "all"), visible(oracle(all)));
        }
        await compact();
        assertEquals((await compact()).status, "current");
        assertEquals(await readState(store, "all"), visible(oracle(all)));
        assertEquals(registers(await readRegisters(store, "all")), registers(oracle(all)));
      },
    ),
    { seed: 42, numRuns },
  );
}

test("Where the changelog was made anew, the rows are made of it alone", async () => {
  const store = memoryObjectStore();
  const compact = async () =>
    unwrapOrThrow(await compactTable({ store, table: "all", buckets: 4, deletes: "positions" }));
  await flushDeltas(store, manyRows(40), { after: 0 });
  await compact();
  const gone: Delta = { ...manyRows(1)[0]!, op: "DELETE", hlc: "6", columns: [] };
  await flushDeltas(store, [gone], { after: 40 });
  await compact();
  const keys = (await allKeys(store)).filter((key) => key.startsWith("all_changes/"));
  unwrapOrThrow(await store.delete(keys));
  const anew = manyRows(3).map((delta) => ({ ...delta, hlc: "2" }));
  await flushDeltas(store, anew, { after: 0 });
  await compact();
  assertEquals(await readState(store, "all"), visible(oracle(anew)));
  assertEquals(registers(await readRegisters(store, "all")), registers(oracle(anew)));
});

test("After a rollback of the rows, what was rolled back is folded in again", async () => {
  const store = memoryObjectStore();
  const catalogue = filesCatalogue(store);
  const compact = async () => unwrapOrThrow(await compactTable({ store, table: "all" }));
  const all: Delta[] = manyRows(20);
  await flushDeltas(store, all, { after: 0 });
  await compact();
  const before = unwrapOrThrow(await catalogue.load("all"))!.metadata["current-snapshot-id"]!;
  const more = manyRows(10).map((delta, i): Delta => ({
    ...delta,
    op: i % 2 === 0 ? "DELETE" : "UPDATE",
    hlc: "9",
    columns: i % 2 === 0 ? [] : [{ column: "s", value: "later" }],
  }));
  await flushDeltas(store, more, { after: all.length });
  all.push(...more);
  await compact();
  const version = unwrapOrThrow(await catalogue.load("all"))!;
  const back = await catalogue.commit("all", version, {
    ...version.metadata,
    "current-snapshot-id": before,
    refs: { ...version.metadata.refs, main: { "snapshot-id": before, type: "branch" } },
  });
  assertEquals(back.status, "committed");
  assertEquals(await readState(store, "all"), visible(oracle(manyRows(20))));
  assertEquals((await compact()).status, "compacted");
  assertEquals(await readState(store, "all"), visible(oracle(all)));
  assertEquals(registers(await readRegisters(store, "all")), registers(oracle(all)));
});

test("A table whose name is like a changelog's is not taken for one", async () => {
  const store = memoryObjectStore();
  const schema = { ...ALL, table: "all_changes" };
  const list = manyRows(2).map((delta) => ({ ...delta, table: schema.table }));
  await flushDeltas(store, list, { after: 0, schema });
  assertEquals(
    unwrapOrThrow(await compactTable({ store, table: "all_changes" })).status,
    "compacted",
  );
  assertEquals(unwrapOrThrow(await compactTable({ store, table: "all" })).status, "absent");
  const { steps } = unwrapOrThrow(await maintainLake({ store }));
  assertEquals(steps, []);
  assertEquals(await readState(store, "all_changes"), visible(oracle(list)));
});

test("A table that is no state table is not compacted into", async () => {
  const store = memoryObjectStore();
  await flushDeltas(store, manyRows(1), { after: 0 });
  const schema = { ...ALL, table: "all_changes" };
  const list = manyRows(1).map((delta) => ({ ...delta, table: schema.table }));
  await flushDeltas(store, list, { after: 0, schema });
  const outcome = await compactTable({ store, table: "all_changes" });
  assertEquals(outcome.ok ? undefined : outcome.error.code, "CONFLICT");
  assertEquals(unwrapOrThrow(await compactTable({ store, table: "all" })).status, "compacted");
});
