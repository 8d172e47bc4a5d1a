import {
  type DatabaseAdapter,
  err,
  type FlushBatch,
  type FlushOutcome,
  LakeSyncError,
  ok,
  type Result,
  type Scheduler,
  type TableSchema,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { databaseDestination } from "./destination.ts";
import { memoryJobs } from "./flush_jobs.ts";

const schemas: TableSchema[] = ["a", "b"].map((table) => ({ table, version: 1, columns: [] }));
const committed: FlushOutcome = { status: "committed", deltas: 1, objects: 0, bytes: 1 };
const impatient: Scheduler = { delay: () => Promise.resolve() };

async function* nothing() {}

const batch: FlushBatch = {
  id: "b",
  to: { epoch: "e", seq: 1 },
  tables: new Map(schemas.map((schema) => [schema.table, { schema, from: undefined }])),
  entries: nothing(),
};

/** A database of which only inserts are asked. */
function adapterWith(
  insertDeltas: () => Result<ReadonlyMap<string, FlushOutcome>>,
): DatabaseAdapter {
  const unasked = () => Promise.reject(new Error("not asked"));
  return {
    name: "db",
    ensureSchema: unasked,
    watermarks: () => Promise.resolve(ok(new Map())),
    insertDeltas: () => Promise.resolve(insertDeltas()),
    queryDeltasSince: unasked,
    getLatestState: unasked,
    close: () => Promise.resolve(),
  };
}

test("databaseDestination() answers a flush although materialising fails, and tries that again", async () => {
  let fails = 2;
  const done: string[] = [];
  const codes: string[] = [];
  const destination = databaseDestination(
    adapterWith(() =>
      ok(new Map<string, FlushOutcome>([["a", committed], ["b", { status: "empty" }]]))
    ),
    {
      materialise: {
        with: {
          materialise({ table }) {
            if (table === "a" && fails-- > 0) {
              return Promise.resolve(err(new LakeSyncError("CONFLICT", "a column was changed")));
            }
            done.push(table);
            return Promise.resolve(ok({ upserted: 1, deleted: 0, misfits: new Map() }));
          },
        },
        onFailure: ({ error }) => codes.push(error.code),
        scheduler: impatient,
      },
    },
  );
  const written = await destination.write(batch);
  assertEquals(written.ok && written.value.get("a"), committed);
  await destination.idle();
  assertEquals([codes, done.sort()], [["CONFLICT", "CONFLICT"], ["a", "b"]]);
  assertEquals(await destination.stats(), ok({ done: 2, tables: new Map() }));
  done.length = 0;
  await destination.write(batch);
  await destination.idle();
  // From the second batch on only what the flush touched.
  assertEquals(done, ["a"]);
  await destination.close();
});

test("databaseDestination() keeps the job before the commit, so that a process that ends behind it loses none", async () => {
  const jobs = memoryJobs();
  let keptAtCommit: Result<readonly TableSchema[]> | undefined;
  const adapter = adapterWith(() => ok(new Map()));
  const destination = databaseDestination({
    ...adapter,
    async insertDeltas() {
      keptAtCommit = await jobs.load();
      return ok(new Map([["a", committed]]));
    },
  }, {
    materialise: {
      with: {
        materialise: () => Promise.resolve(ok({ upserted: 0, deleted: 0, misfits: new Map() })),
      },
      jobs,
    },
  });
  await destination.write(batch);
  assertEquals(keptAtCommit, ok(schemas));
  await destination.idle();
  assertEquals(await jobs.load(), ok([]));
  await destination.close();
});

test("databaseDestination() without materialise passes writes on", async () => {
  const failure = err(new LakeSyncError("OFFLINE", "away"));
  const destination = databaseDestination(adapterWith(() => failure));
  assertEquals(await destination.write(batch), failure);
  assertEquals(await destination.stats(), ok({ done: 0, tables: new Map() }));
  await destination.close();
});
