import {
  type Clock,
  LakeSyncError,
  type Logger,
  type Materialisable,
  ok,
  type Random,
  type Result,
  type Scheduler,
  silentLogger,
  systemClock,
  systemRandom,
  systemScheduler,
  type TableSchema,
  toLakeSyncError,
} from "@lakesync/core";
import { claimJobs, releaseJobs } from "./flush_claim.ts";
import {
  type ConsumerTable,
  encode,
  type JobPlace,
  readJobs,
  readState,
  type StoredJob,
} from "./flush_job_store.ts";
import type { FlushJobFailure } from "./flush_queue.ts";

/** Options of {@linkcode consumeFlushJobs}. */
export interface ConsumeFlushJobsOptions extends JobPlace {
  /** What materialises: mostly the adapter of the database. */
  readonly with: Materialisable;
  /**
   * How often it looks for jobs, in ms.
   *
   * @default {5_000}
   */
  readonly everyMs?: number;
  /**
   * For how long no other process takes the jobs over, in ms; renewed before each table.
   *
   * @default {60_000}
   */
  readonly leaseMs?: number;
  /**
   * How long a table waits after its first failure, in ms; twice as long after each further one.
   *
   * @default {1_000}
   */
  readonly retryMs?: number;
  /**
   * The longest that it waits, in ms.
   *
   * @default {300_000}
   */
  readonly maxRetryMs?: number;
  /**
   * Told of each failure; must not throw.
   *
   * @default {undefined} only the log is told
   */
  readonly onFailure?: (failure: FlushJobFailure) => void;
  /**
   * Tells when leases and pauses are over. Processes whose clocks differ may do a job twice, which
   * costs time and nothing else.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Waiting.
   *
   * @default {systemScheduler}
   */
  readonly scheduler?: Scheduler;
  /**
   * Names this process.
   *
   * @default {systemRandom}
   */
  readonly random?: Random;
  /**
   * Where failures are logged.
   *
   * @default {silentLogger}
   */
  readonly logger?: Logger;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** What one look for jobs came to. */
export interface ConsumeReport {
  /** The tables that were brought up to date. */
  readonly done: number;
  /** Those that failed, or wait after a failure. */
  readonly waiting: number;
}

/** What a process holds that died over a write is seen to after this time, in ms. */
const HELD_MS = 900_000;

/**
 * Does what {@linkcode objectStoreJobs} puts into an object store, until its signal aborts. Several
 * processes may: one at a time has the claim. A job is removed when all of it is done, so one that a
 * process died over is done again by the next, which is safe: it brings a table up to date.
 *
 * @param options Where the jobs are, and what materialises.
 * @returns Resolves when the signal has ended it, behind the table under way.
 *
 * @example A process that only does this
 * ```ts
 * import { consumeFlushJobs } from "@lakesync/adapter-database";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { ok } from "@lakesync/core";
 *
 * const stop = new AbortController();
 * const consuming = consumeFlushJobs({
 *   store: memoryObjectStore(),
 *   prefix: "jobs/pg",
 *   with: { materialise: () => Promise.resolve(ok({ upserted: 0, deleted: 0, misfits: new Map() })) },
 *   signal: stop.signal,
 * });
 * stop.abort();
 * await consuming;
 * ```
 */
export async function consumeFlushJobs(options: ConsumeFlushJobsOptions): Promise<void> {
  const { scheduler = systemScheduler, everyMs = 5_000, signal, logger = silentLogger } = options;
  const { prefix, random = systemRandom } = options;
  const holder = random.uuid();
  const stopped = () => signal?.aborted === true;
  while (!stopped()) {
    const done = await runFlushJobs(options, { holder });
    if (!done.ok) {
      const { code, message } = done.error;
      logger.log("error", "materialise.jobs-failed", { prefix, code, message });
      options.onFailure?.({ table: undefined, attempts: 1, error: done.error });
    }
    if (stopped()) return;
    await scheduler.delay(everyMs, signal === undefined ? {} : { signal });
  }
}

/**
 * Does the jobs that are there, where no other process has them: once, for a process that is started
 * at times ({@linkcode consumeFlushJobs} goes on).
 *
 * @param options Where the jobs are, and what materialises.
 * @param by Who does it: the same name takes up its own claim again.
 * @returns What it came to; the object store's error, after which it may be run again.
 *
 * @example Nothing to do
 * ```ts
 * import { runFlushJobs } from "@lakesync/adapter-database";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { ok } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const report = await runFlushJobs({
 *   store: memoryObjectStore(),
 *   prefix: "jobs/pg",
 *   with: { materialise: () => Promise.resolve(ok({ upserted: 0, deleted: 0, misfits: new Map() })) },
 * });
 * assertEquals(report, ok({ done: 0, waiting: 0 }));
 * ```
 */
export async function runFlushJobs(
  options: ConsumeFlushJobsOptions,
  by: { readonly holder?: string } = {},
): Promise<Result<ConsumeReport>> {
  const { store, prefix, clock = systemClock, random = systemRandom, signal } = options;
  const holder = by.holder ?? random.uuid();
  const jobs = await dueJobs(options, clock.now());
  if (!jobs.ok) return jobs;
  if (jobs.value.length === 0) return ok({ done: 0, waiting: 0 });
  const state = await readState(options);
  if (!state.ok) return state;
  const tables = new Map(state.value.tables);
  let done = 0;
  let waiting = 0;
  let changed = false;
  const left: TableSchema[] = [];
  for (const schema of newest(jobs.value)) {
    const { table } = schema;
    const before = tables.get(table);
    if (signal?.aborted === true || (before?.notBefore ?? 0) > clock.now()) {
      left.push(schema);
      waiting++;
      continue;
    }
    const claimed = await claimJobs(options, { holder, clock });
    if (!claimed.ok) return claimed;
    if (!claimed.value) return ok({ done, waiting });
    const after = await runJob(options, { schema, before, now: () => clock.now() });
    changed = true;
    if (after === undefined) tables.delete(table);
    else tables.set(table, after);
    if (after?.error === undefined) done++;
    else {
      left.push(schema);
      waiting++;
    }
  }
  if (!changed) return ok({ done, waiting });
  const told = { done: state.value.done + done, tables: [...tables] };
  const kept = await store.put(`${prefix}/state.json`, encode(told));
  if (!kept.ok) return kept;
  // What is left is put before the jobs that it comes from are removed.
  const merge = done > 0 || jobs.value.length > 1;
  if (merge && left.length > 0) {
    const again = await store.put(
      `${prefix}/jobs/${random.uuid()}.json`,
      encode({ tables: left }),
    );
    if (!again.ok) return again;
  }
  if (merge) {
    const removed = await store.delete(jobs.value.map(({ key }) => key));
    if (!removed.ok) return removed;
  }
  const released = await releaseJobs(options, { holder });
  return released.ok ? ok({ done, waiting }) : released;
}

/** Jobs, and what was held for so long that its process must have died over it. */
async function dueJobs(place: JobPlace, now: number): Promise<Result<readonly StoredJob[]>> {
  const jobs = await readJobs(place, "jobs");
  if (!jobs.ok) return jobs;
  const held = await readJobs(place, "held");
  if (!held.ok) return held;
  return ok([...jobs.value, ...held.value.filter(({ at }) => at + HELD_MS <= now)]);
}

/** Each table once, by its greatest version. */
function newest(jobs: readonly StoredJob[]): Iterable<TableSchema> {
  const tables = new Map<string, TableSchema>();
  for (const schema of jobs.flatMap(({ schemas }) => schemas)) {
    const known = tables.get(schema.table);
    if (known === undefined || known.version <= schema.version) tables.set(schema.table, schema);
  }
  return tables.values();
}

/** Sees to a table; gives what there is to be told of it. */
async function runJob(
  options: ConsumeFlushJobsOptions,
  job: { schema: TableSchema; before: ConsumerTable | undefined; now: () => number },
): Promise<ConsumerTable | undefined> {
  const { retryMs = 1_000, maxRetryMs = 300_000, signal, logger = silentLogger } = options;
  const { schema, before, now } = job;
  const ran = await options.with.materialise(schema, signal === undefined ? {} : { signal })
    .catch((thrown) => ({ ok: false, error: toLakeSyncError(thrown, "INTERNAL") } as const));
  if (ran.ok) {
    const misfits = ran.value.misfits.size > 0 ? [...ran.value.misfits] : before?.misfits;
    return misfits && { attempts: 0, notBefore: 0, misfits };
  }
  const { code, message } = ran.error;
  const attempts = (before?.attempts ?? 0) + 1;
  const pause = Math.min(maxRetryMs, retryMs * 2 ** Math.min(attempts - 1, 30));
  logger.log("error", "materialise.failed", { table: schema.table, attempts, code, message });
  options.onFailure?.({
    table: schema.table,
    attempts,
    error: new LakeSyncError(code, message, { cause: ran.error }),
  });
  return {
    attempts,
    notBefore: now() + pause,
    error: { code, message },
    ...(before?.misfits !== undefined && { misfits: before.misfits }),
  };
}
