import {
  type DestinationStats,
  type ErrorCode,
  LakeSyncError,
  type Logger,
  type ObjectStore,
  ok,
  parseTableSchemas,
  type Random,
  type Result,
  silentLogger,
  systemRandom,
  type TableJobStats,
  type TableSchema,
  toLakeSyncError,
} from "@lakesync/core";
import type { FlushWork } from "./flush_work.ts";

/** Where jobs are put, and taken from. */
export interface JobPlace {
  /** The objects. */
  readonly store: ObjectStore;
  /** What all keys begin with, without a slash at its end: one for each destination of each gateway. */
  readonly prefix: string;
}

/** Options of {@linkcode objectStoreJobs}. */
export interface ObjectStoreJobsOptions extends JobPlace {
  /**
   * Names jobs.
   *
   * @default {systemRandom}
   */
  readonly random?: Random;
  /**
   * Told where a job could not be put. The next flush puts it again.
   *
   * @default {silentLogger}
   */
  readonly logger?: Logger;
}

/** What a consumer leaves for others to know. */
export interface ConsumerState {
  /** How many tables were seen to. */
  readonly done: number;
  /** The tables that fail, and columns that could not hold what they should. */
  readonly tables: readonly (readonly [string, ConsumerTable])[];
}

/** What a consumer knows of a table. */
export interface ConsumerTable {
  /** How often it failed in a row. */
  readonly attempts: number;
  /** Not to be tried again before, ms since the Unix epoch. */
  readonly notBefore: number;
  /** Why it failed. */
  readonly error?: { readonly code: ErrorCode; readonly message: string };
  /** By column, how many values it could not hold. */
  readonly misfits?: readonly (readonly [string, number])[];
}

/**
 * Puts what is to be done behind flushes into an object store, where another process takes it
 * ({@linkcode consumeFlushJobs}): `jobs/` for what is to be done, `held/` for what a process has
 * begun to write and may have died over, `state.json` for what the consumer tells.
 *
 * @param options Where.
 * @returns What a database's destination takes as `materialise`.
 *
 * @example Nothing waits at first
 * ```ts
 * import { objectStoreJobs } from "@lakesync/adapter-database";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const jobs = objectStoreJobs({ store: memoryObjectStore(), prefix: "jobs/pg" });
 * assertEquals(unwrapOrThrow(await jobs.stats()).done, 0);
 * ```
 */
export function objectStoreJobs(options: ObjectStoreJobsOptions): FlushWork {
  const { store, prefix, random = systemRandom, logger = silentLogger } = options;
  /** What was held last. */
  let held: { readonly key: string; readonly schemas: readonly TableSchema[] } | undefined;
  /** Tables whose job could not be put. */
  const unput = new Map<string, TableSchema>();

  const put = async (folder: string, schemas: Iterable<TableSchema>): Promise<Result<string>> => {
    const key = `${prefix}/${folder}/${random.uuid()}.json`;
    const done = await store.put(key, encode({ tables: [...schemas] }), { ifAbsent: true });
    if (done.ok) return ok(key);
    const { code, message } = done.error;
    logger.log("error", "materialise.job-failed", { prefix, code, message });
    return done;
  };
  const putJob = async (schemas: readonly TableSchema[]): Promise<boolean> => {
    for (const schema of schemas) unput.set(schema.table, schema);
    if (unput.size === 0) return true;
    const done = await put("jobs", unput.values());
    if (done.ok) unput.clear();
    return done.ok;
  };
  return {
    async resume() {
      const left = await readJobs({ store, prefix }, "held");
      // What is held stays: who holds it may commit after this job is done.
      if (left.ok) await putJob(left.value.flatMap(({ schemas }) => schemas));
    },
    async hold(schemas) {
      const key = await put("held", schemas);
      held = key.ok ? { key: key.value, schemas } : { key: "", schemas };
    },
    async start(tables) {
      if (held === undefined) return;
      const { key, schemas } = held;
      held = undefined;
      const put = await putJob(schemas.filter(({ table }) => tables.has(table)));
      if (put && key !== "") await store.delete([key]);
    },
    stats: () => jobStats({ store, prefix }),
    idle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** What waits in a store, and what its consumer told last. */
export async function jobStats(place: JobPlace): Promise<Result<DestinationStats>> {
  const state = await readState(place);
  if (!state.ok) return state;
  const jobs = await readJobs(place, "jobs");
  if (!jobs.ok) return jobs;
  const tables = new Map<string, TableJobStats>();
  for (const { table } of jobs.value.flatMap(({ schemas }) => schemas)) {
    tables.set(table, { waiting: true, attempts: 0 });
  }
  for (const [table, { attempts, error, misfits }] of state.value.tables) {
    tables.set(table, {
      waiting: tables.has(table),
      attempts,
      ...(error !== undefined && { error: new LakeSyncError(error.code, error.message) }),
      ...(misfits !== undefined && { misfits: new Map(misfits) }),
    });
  }
  return ok({ done: state.value.done, tables });
}

/** A job as it lies there. */
export interface StoredJob {
  readonly key: string;
  /** When it was put, by the store's clock. */
  readonly at: number;
  readonly schemas: readonly TableSchema[];
}

/** The jobs of a folder. One that is damaged is passed over: it stays, to be looked at. */
export async function readJobs(
  { store, prefix }: JobPlace,
  folder: "jobs" | "held",
): Promise<Result<readonly StoredJob[]>> {
  const jobs: StoredJob[] = [];
  for (let after: string | undefined, more = true; more;) {
    const page = await store.list(`${prefix}/${folder}/`, after === undefined ? {} : { after });
    if (!page.ok) return page;
    for (const { key, modified } of page.value.objects) {
      const body = await store.get(key);
      if (!body.ok && body.error.code === "NOT_FOUND") continue;
      if (!body.ok) return body;
      const value = decode<{ tables?: unknown }>(body.value, key);
      if (!value.ok) continue;
      const schemas = parseTableSchemas(value.value.tables, key);
      if (schemas.ok) jobs.push({ key, at: modified, schemas: schemas.value });
    }
    after = page.value.next;
    more = after !== undefined;
  }
  return ok(jobs);
}

/** What a consumer told last. */
export async function readState({ store, prefix }: JobPlace): Promise<Result<ConsumerState>> {
  const body = await store.get(`${prefix}/state.json`);
  if (body.ok) return decode(body.value, `${prefix}/state.json`);
  return body.error.code === "NOT_FOUND" ? ok({ done: 0, tables: [] }) : body;
}

/** An object of JSON. */
export function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** Reads an object of JSON. */
export function decode<T>(body: Uint8Array, key: string): Result<T> {
  try {
    return ok(JSON.parse(new TextDecoder().decode(body)) as T);
  } catch (cause) {
    const { message } = toLakeSyncError(cause, "CORRUPT");
    const error = new LakeSyncError("CORRUPT", `Cannot read "${key}": ${message}`, { cause });
    return { ok: false, error };
  }
}
