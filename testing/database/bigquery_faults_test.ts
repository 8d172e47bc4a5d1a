// BigQuery where requests, answers and jobs are lost: once each, and by several writers.
import process from "node:process";
import type { SqlAdapter } from "@lakesync/adapter-database";
import { type Delta, type TableSchema, unwrapOrThrow } from "@lakesync/core";
import { assert, assertEquals } from "@std/assert";
import { type BigQueryEmulator, type EmulatorFault, startBigQuery } from "../bigquery_emulator.ts";
import { test } from "../test.ts";
import { askDataset, openAdapter } from "./bigquery_subject.ts";
import { allDeltas, batchOf, deltaOf, EVERYTHING, statuses, todo, TODOS } from "./fixture.ts";

const TABLES: readonly TableSchema[] = [TODOS, EVERYTHING];

/** A log of two tables: rows that come, change and go. */
const LOG: readonly Delta[] = Array.from({ length: 60 }, (_, i) => {
  const rowId = `r${i % 17}`;
  if (i % 5 === 4) return deltaOf({ op: "DELETE", rowId, hlc: i + 1 });
  if (i % 3 === 2) {
    const columns = { text: `t${i}`, int: "9007199254740993" };
    return deltaOf({ op: "INSERT", table: "everything", rowId, hlc: i + 1, columns });
  }
  return todo(rowId, i + 1, { n: i });
});

/** Flushes the log in batches of so many, as a gateway does: from each table's watermark on. */
async function flush(adapter: SqlAdapter, size: number): Promise<{ failures: number }> {
  let failures = 0;
  for (let done = 0; done < LOG.length;) {
    const marks = await adapter.watermarks(TABLES.map(({ table }) => table));
    if (!marks.ok) {
      if (++failures > 100) throw marks.error;
      continue;
    }
    // A table without entries of late is behind: entries that it has are left out.
    const seqs = Array.from(marks.value.values(), ({ seq }) => seq);
    done = Math.max(0, ...seqs);
    if (done >= LOG.length) break;
    const tables = new Map(
      TABLES.map((schema) => [schema.table, { schema, from: marks.value.get(schema.table) }]),
    );
    const from = done === 0 ? undefined : done;
    const batch = batchOf({ deltas: LOG.slice(done, done + size), from });
    const written = await adapter.insertDeltas({ ...batch, tables });
    if (!written.ok && ++failures > 100) throw written.error;
  }
  for (const schema of TABLES) {
    while (!(await adapter.materialise(schema)).ok) failures++;
  }
  return { failures };
}

/** Everything that a flush of the log leaves. */
async function contents(server: BigQueryEmulator, dataset: string): Promise<unknown> {
  const texts = [
    "SELECT pos, seq, row_key, delta FROM lakesync_deltas ORDER BY pos",
    "SELECT row_key, state FROM lakesync_rows ORDER BY row_key",
    "SELECT table_name, epoch, seq FROM lakesync_tables ORDER BY table_name",
    "SELECT name, value FROM lakesync_head ORDER BY name",
    "SELECT id, title, n, props FROM todos ORDER BY id",
    "SELECT id, text, `int`, props FROM everything ORDER BY id",
  ];
  return await askDataset(server, { dataset, texts });
}

/** Flushes into a new dataset, with the nth request of it going wrong; gives how many there were. */
async function flushWithFault(
  server: BigQueryEmulator,
  options: { dataset: string; nth: number; fault: EmulatorFault; attempts: number },
): Promise<{ requests: number; hit: boolean; failures: number }> {
  const { dataset, nth, fault, attempts } = options;
  await server.makeDataset(dataset);
  let requests = 0;
  server.fault = () => requests++ === nth ? fault : undefined;
  const adapter = await openAdapter(server, { dataset, attempts });
  const { failures } = await flush(adapter, 60);
  server.fault = () => undefined;
  await adapter.close();
  return { requests, hit: requests > nth, failures };
}

const kinds: readonly (readonly [title: string, fault: EmulatorFault, attempts: number])[] = [
  ["a request that is lost", "lose-request", 3],
  ["an answer that is lost", "lose-answer", 3],
  ["an answer that is lost, where the call gives up", "lose-answer", 1],
];

/** How many tests each kind is parted into, by turns. */
const PARTS = 4;
/**
 * Each kind takes every third request, and each another third: so each request goes wrong in one of the
 * three ways. With LAKESYNC_INTEROP set each does in all of them (`deno task test:interop`).
 */
const EVERY = process.env["LAKESYNC_INTEROP"] === undefined ? kinds.length : 1;

const ORDINALS = ["first", "second", "third"];

for (const [kind, [title, fault, attempts]] of kinds.entries()) {
  for (let part = 0; part < PARTS; part++) {
    const which = EVERY === 1 ? "each one" : `every third one from the ${ORDINALS[kind]} on`;
    const name = `BigQuery: ${title}, ${which}, loses and doubles nothing`;
    test({ name: `${name} (${part + 1} of ${PARTS})`, timeoutMs: 240_000 }, async () => {
      await using server = await startBigQuery();
      const run = (nth: number) =>
        flushWithFault(server, { dataset: `d${nth + 1}`, nth, fault, attempts });
      const { requests } = await run(-1);
      assert(requests > 20);
      const whole = await contents(server, "d0");
      let failures = 0;
      for (let nth = kind % EVERY + EVERY * part; nth < requests; nth += EVERY * PARTS) {
        const done = await run(nth);
        assert(done.hit, `there is no request ${nth}`);
        failures += done.failures;
        assertEquals(await contents(server, `d${nth + 1}`), whole, `request ${nth}`);
      }
      assertEquals(failures > 0, attempts === 1);
    });
  }
}

test("BigQuery: requests refused and jobs that are slow are waited for", async () => {
  await using server = await startBigQuery();
  const troubles: EmulatorFault[] = [
    { refuse: 503, reason: "backendError" },
    { refuse: 429, reason: "rateLimitExceeded" },
    { refuse: 403, reason: "rateLimitExceeded" },
    { polls: 3 },
  ];
  await server.makeDataset("slow");
  let requests = 0;
  server.fault = () => requests++ % 3 === 0 ? troubles[requests % 4] : undefined;
  const adapter = await openAdapter(server, { dataset: "slow" });
  assertEquals(await flush(adapter, 30), { failures: 0 });
  assertEquals((await allDeltas(adapter)).map(({ delta }) => delta), LOG);
  await adapter.close();
});

test("BigQuery: jobs that fail for what passes, each one once, are run again", async () => {
  await using server = await startBigQuery();
  for (const fails of ["backendError", "jobRateLimitExceeded"]) {
    const dataset = `d_${fails}`;
    await server.makeDataset(dataset);
    let jobs = 0;
    // Each job's first try: a job that is tried again has another number.
    server.fault = ({ what }) => what === "jobs.insert" && jobs++ % 2 === 0 ? { fails } : undefined;
    const adapter = await openAdapter(server, { dataset });
    assertEquals(await flush(adapter, 30), { failures: 0 });
    server.fault = () => undefined;
    assertEquals((await allDeltas(adapter)).map(({ delta }) => delta), LOG);
    await adapter.close();
  }
});

test("BigQuery: several writers at once double nothing and lose nothing", async () => {
  await using server = await startBigQuery();
  await server.makeDataset("shared");
  const adapters = await Promise.all(
    Array.from({ length: 3 }, () => openAdapter(server, { dataset: "shared" })),
  );
  await Promise.all(adapters.map((adapter, i) => flush(adapter, 7 + i)));
  const stored = await allDeltas(adapters[0]!);
  assertEquals(stored.map(({ delta }) => delta), LOG);
  const heads = await askDataset(server, {
    dataset: "shared",
    texts: ["SELECT name FROM lakesync_head ORDER BY name"],
  });
  assertEquals(heads, [[["format"], ["pos"]]]);
  for (const adapter of adapters) await adapter.close();
});

test("BigQuery: writers of two tables at once both commit", async () => {
  await using server = await startBigQuery();
  await server.makeDataset("two");
  const adapters = [
    await openAdapter(server, { dataset: "two" }),
    await openAdapter(server, { dataset: "two" }),
  ];
  const other = deltaOf({ op: "INSERT", table: "everything", rowId: "e", hlc: 1 });
  const outcomes = await Promise.all([
    adapters[0]!.insertDeltas(batchOf({ deltas: [todo("r", 1)] })),
    adapters[1]!.insertDeltas(batchOf({ deltas: [other], tables: [EVERYTHING] })),
  ]);
  assertEquals(outcomes.map(statuses), [{ todos: "committed" }, { everything: "committed" }]);
  const pos = await askDataset(server, {
    dataset: "two",
    texts: ["SELECT pos FROM lakesync_deltas ORDER BY pos"],
  });
  assertEquals(pos, [[["1"], ["2"]]]);
  for (const adapter of adapters) await adapter.close();
});

test("BigQuery: a commit that outlasts its call is found by its job when the batch comes again", async () => {
  await using server = await startBigQuery();
  await server.makeDataset("late");
  const batch = () => batchOf({ deltas: [todo("r1", 1), todo("r2", 2)] });
  const isCommit = (body: string) => body.includes("lakesync_batch_");
  const first = await openAdapter(server, { dataset: "late", jobMs: 1 });
  // The other jobs are done before they are looked at.
  unwrapOrThrow(await (await openAdapter(server, { dataset: "late" })).ensureSchema([TODOS]));
  const held = Promise.withResolvers<void>();
  server.fault = ({ what, body }) =>
    what === "jobs.insert" && isCommit(body) ? { after: held.promise } : undefined;
  let given = await first.insertDeltas(batch());
  // Loads may outlast such a call too.
  for (let tries = 0; tries < 200 && !server.requests.some(({ body }) => isCommit(body)); tries++) {
    given = await first.insertDeltas(batch());
  }
  assertEquals(given.ok || given.error.code, "TIMEOUT");
  const second = await openAdapter(server, { dataset: "late" });
  const again = second.insertDeltas(batch());
  held.resolve();
  assertEquals(statuses(await again), { todos: "committed" });
  const commits = server.requests.filter(({ what, body }) =>
    what === "jobs.insert" && isCommit(body)
  );
  assertEquals(new Set(commits.map(({ body }) => JSON.parse(body).jobReference.jobId)).size, 1);
  assertEquals((await allDeltas(second)).length, 2);
  await first.close();
  await second.close();
});

test("BigQuery: a dataset made anew takes a batch that an earlier one had", async () => {
  await using server = await startBigQuery();
  const batch = () => batchOf({ deltas: [todo("r1", 1)] });
  await server.makeDataset("anew");
  const adapter = await openAdapter(server, { dataset: "anew" });
  assertEquals(statuses(await adapter.insertDeltas(batch())), { todos: "committed" });
  const drops = ["deltas", "rows", "tables", "head"].map((name) => `DROP TABLE lakesync_${name}`);
  await askDataset(server, { dataset: "anew", texts: drops });
  const again = await openAdapter(server, { dataset: "anew" });
  assertEquals(statuses(await again.insertDeltas(batch())), { todos: "committed" });
  assertEquals((await allDeltas(again)).length, 1);
  await adapter.close();
  await again.close();
});
