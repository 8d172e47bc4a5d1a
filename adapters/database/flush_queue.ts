import {
  LakeSyncError,
  type Result,
  type Scheduler,
  systemScheduler,
  type TableSchema,
  toLakeSyncError,
} from "@lakesync/core";
import { type FlushJobs, memoryJobs } from "./flush_jobs.ts";

/** Options of {@linkcode FlushQueue}. */
export interface FlushQueueOptions {
  /** Does a table's job. It may be done again: it brings the table up to date. */
  readonly run: (
    schema: TableSchema,
    options: { signal: AbortSignal },
  ) => Promise<Result<unknown>>;
  /**
   * Where jobs are kept that wait.
   *
   * @default {memoryJobs()}
   */
  readonly jobs?: FlushJobs;
  /**
   * Told of each failure; must not throw. A job is tried again whatever the failure.
   *
   * @default {undefined} nobody is told
   */
  readonly onFailure?: (failure: FlushJobFailure) => void;
  /**
   * How long a job waits after its first failure, in ms; twice as long after each further one.
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
   * Waiting.
   *
   * @default {systemScheduler}
   */
  readonly scheduler?: Scheduler;
}

/** A job that failed. */
export interface FlushJobFailure {
  /** The table; undefined where the jobs themselves could not be kept or read. */
  readonly table: string | undefined;
  /** How often it has failed in a row. */
  readonly attempts: number;
  /** Why. */
  readonly error: LakeSyncError;
}

/** What a {@linkcode FlushQueue} has done and has to do. */
export interface FlushQueueStats {
  /** How many jobs were done. */
  readonly done: number;
  /** The jobs that wait or run, by table, with the last failure where there was one. */
  readonly waiting: ReadonlyMap<
    string,
    { readonly attempts: number; readonly error?: LakeSyncError }
  >;
}

interface Job {
  schema: TableSchema;
  attempts: number;
  error: LakeSyncError | undefined;
  /** Whether it is being worked on. */
  started: boolean;
  /** Whether it is kept for a start to come, also beside the work under way. */
  held: boolean;
  /** Whether it was asked for again after it began. */
  again: boolean;
}

/**
 * What is to be done behind a flush, one job a table, one at a time. A job that fails is tried again
 * with growing pauses until it is done; the others go on meanwhile, and no flush waits for any.
 *
 * @example A job that fails once
 * ```ts
 * import { FlushQueue } from "@lakesync/adapter-database";
 * import { err, LakeSyncError, ok } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * let runs = 0;
 * const queue = new FlushQueue({
 *   run: () => Promise.resolve(runs++ === 0 ? err(new LakeSyncError("OFFLINE", "not yet")) : ok(undefined)),
 *   scheduler: { delay: () => Promise.resolve() }, // in place of a second
 * });
 * await queue.add([{ table: "todos", version: 1, columns: [] }]);
 * await queue.idle();
 * assertEquals([runs, queue.stats().done], [2, 1]);
 * await queue.close();
 * ```
 */
export class FlushQueue {
  readonly #options: FlushQueueOptions;
  readonly #jobs: FlushJobs;
  readonly #scheduler: Scheduler;
  readonly #waiting: Map<string, Job> = new Map();
  readonly #working: Set<Promise<void>> = new Set();
  readonly #stop: AbortController = new AbortController();
  #turn: Promise<unknown> = Promise.resolve();
  #saving: Promise<void> = Promise.resolve();
  #done = 0;

  /**
   * Makes a queue. Jobs that were kept are begun by {@linkcode FlushQueue.resume}.
   *
   * @param options What a job does.
   */
  constructor(options: FlushQueueOptions) {
    this.#options = options;
    this.#jobs = options.jobs ?? memoryJobs();
    this.#scheduler = options.scheduler ?? systemScheduler;
  }

  /** Begins the jobs that were kept by a process before this one. */
  async resume(): Promise<void> {
    const kept = await this.#jobs.load();
    if (!kept.ok) return this.#report(undefined, 1, kept.error);
    for (const schema of kept.value) this.#start(this.#put(schema));
  }

  /** Keeps jobs that are to be begun later by {@linkcode FlushQueue.start}: what they need is not there yet. */
  async hold(schemas: readonly TableSchema[]): Promise<void> {
    for (const schema of schemas) this.#put(schema);
    await this.#save();
  }

  /** Begins the held jobs of these tables, and drops the other held ones. */
  async start(tables: ReadonlySet<string>): Promise<void> {
    for (const [table, job] of this.#waiting) {
      if (tables.has(table)) this.#start(job);
      else {
        job.held = false;
        if (!job.started) this.#waiting.delete(table);
      }
    }
    await this.#save();
  }

  /** Keeps jobs and begins them. A table that waits already is done once more. */
  async add(schemas: readonly TableSchema[]): Promise<void> {
    for (const schema of schemas) this.#start(this.#put(schema));
    await this.#save();
  }

  /** Resolves when no job is left, also none that waits to be tried again. */
  async idle(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working);
    await this.#saving;
  }

  /** What it has done and has to do. */
  stats(): FlushQueueStats {
    const waiting = Array.from(
      this.#waiting,
      ([table, { attempts, error }]) =>
        [table, { attempts, ...(error !== undefined && { error }) }] as const,
    );
    return { done: this.#done, waiting: new Map(waiting) };
  }

  /** Stops the job under way and begins no other; what waits stays kept. May be called twice. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.idle();
  }

  #put(schema: TableSchema): Job {
    const job = this.#waiting.get(schema.table);
    if (job !== undefined) {
      job.schema = schema;
      job.held = true;
      return job;
    }
    const made: Job = {
      schema,
      attempts: 0,
      error: undefined,
      started: false,
      held: true,
      again: false,
    };
    this.#waiting.set(schema.table, made);
    return made;
  }

  #start(job: Job): void {
    job.held = false;
    job.again = true;
    if (job.started || this.#stop.signal.aborted) return;
    job.started = true;
    const work = this.#work(job).finally(() => this.#working.delete(work));
    this.#working.add(work);
  }

  async #work(job: Job): Promise<void> {
    const { signal } = this.#stop;
    const { retryMs = 1_000, maxRetryMs = 300_000 } = this.#options;
    while (!signal.aborted) {
      const ran = await this.#inTurn(job);
      if (signal.aborted) return;
      if (ran.ok) {
        this.#done++;
        job.attempts = 0;
        job.error = undefined;
        if (job.again) continue;
        job.started = false;
        if (!job.held) this.#waiting.delete(job.schema.table);
        return await this.#save();
      }
      job.attempts++;
      job.error = ran.error;
      this.#report(job.schema.table, job.attempts, ran.error);
      const pause = Math.min(maxRetryMs, retryMs * 2 ** Math.min(job.attempts - 1, 30));
      await this.#scheduler.delay(pause, { signal });
    }
  }

  /** Runs a job when those before it are through. */
  #inTurn(job: Job): Promise<Result<unknown>> {
    const { signal } = this.#stop;
    const ran = this.#turn.then(async (): Promise<Result<unknown>> => {
      job.again = false;
      try {
        return await this.#options.run(job.schema, { signal });
      } catch (thrown) {
        return { ok: false, error: toLakeSyncError(thrown, "INTERNAL") };
      }
    });
    this.#turn = ran;
    return ran;
  }

  #save(): Promise<void> {
    return this.#saving = this.#saving.then(async () => {
      const saved = await this.#jobs.save(
        Array.from(this.#waiting.values(), ({ schema }) => schema),
      );
      if (!saved.ok) this.#report(undefined, 1, saved.error);
    });
  }

  #report(table: string | undefined, attempts: number, error: LakeSyncError): void {
    this.#options.onFailure?.({ table, attempts, error });
  }
}
