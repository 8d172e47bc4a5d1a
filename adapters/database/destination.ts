import {
  type DatabaseAdapter,
  type Destination,
  type DestinationStats,
  type Logger,
  type Materialisable,
  ok,
  type Result,
  type Scheduler,
  silentLogger,
  type TableJobStats,
} from "@lakesync/core";
import type { FlushJobs } from "./flush_jobs.ts";
import { type FlushJobFailure, FlushQueue } from "./flush_queue.ts";
import { materialiseJob, Misfits } from "./flush_run.ts";
import type { FlushWork } from "./flush_work.ts";

/** Options of {@linkcode databaseDestination}. */
export interface DatabaseDestinationOptions {
  /**
   * Keeps tables for people to query: in this process, or in another one that takes the jobs from
   * where they are put ({@linkcode objectStoreJobs}).
   *
   * @default {undefined} only deltas and their merge are kept
   */
  readonly materialise?: MaterialiseAfterFlush | FlushWork;
}

/** How tables are materialised behind flushes. */
export interface MaterialiseAfterFlush {
  /** What materialises: mostly the adapter itself. */
  readonly with: Materialisable;
  /**
   * Where jobs are kept that wait.
   *
   * @default {memoryJobs()}
   */
  readonly jobs?: FlushJobs;
  /**
   * Told of each failure; must not throw.
   *
   * @default {undefined} only the log is told
   */
  readonly onFailure?: (failure: FlushJobFailure) => void;
  /**
   * Where failures, and values that no column holds, are logged.
   *
   * @default {silentLogger}
   */
  readonly logger?: Logger;
  /**
   * Waiting.
   *
   * @default {systemScheduler}
   */
  readonly scheduler?: Scheduler;
}

/** A destination that is a database. */
export interface DatabaseDestination extends Destination {
  /** The database. */
  readonly adapter: DatabaseAdapter;
  /** What was materialised, waits and fails. */
  stats(): Promise<Result<DestinationStats>>;
  /** Begins what a process before this one has left; the first write does it too. */
  resume(): Promise<void>;
  /** Resolves when all that was flushed is materialised. */
  idle(): Promise<void>;
  /** Stops what runs, keeps what waits, and closes the adapter. */
  close(): Promise<void>;
}

/**
 * A database as what a gateway flushes to. With `materialise`, the tables that a flush touched are
 * brought up to date behind it: a failure there is tried again, and never fails the flush.
 *
 * @param adapter The database. Closed with the destination.
 * @param options Whether tables for people are kept.
 * @returns The destination, by the adapter's name.
 *
 * @example A flush to a database that is not there fails, and may be tried again
 * ```ts
 * import { databaseDestination, sqlAdapter } from "@lakesync/adapter-database";
 * import { postgresServer } from "@lakesync/adapter-postgres";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const server = unwrapOrThrow(await postgresServer({ url: "postgres://nobody@127.0.0.1:1/none" }));
 * const adapter = sqlAdapter({ server, name: "pg" });
 * const destination = databaseDestination(adapter, { materialise: { with: adapter } });
 * const marks = await destination.watermarks(["todos"]);
 * assertEquals(marks.ok || marks.error.code, "OFFLINE");
 * await destination.close();
 * ```
 */
export function databaseDestination(
  adapter: DatabaseAdapter,
  options: DatabaseDestinationOptions = {},
): DatabaseDestination {
  const { materialise } = options;
  const queue = materialise === undefined
    ? undefined
    : "with" in materialise
    ? queueOf(materialise, adapter.name)
    : materialise;
  let resumed: Promise<void> | undefined;
  const resume = async () => {
    await (resumed ??= queue?.resume());
  };
  let first = true;
  return {
    name: adapter.name,
    adapter,
    watermarks: (tables) => adapter.watermarks(tables),
    async write(batch) {
      if (queue === undefined) return await adapter.insertDeltas(batch);
      await resume();
      // Kept before the commit: a process that ends behind it leaves the job to the next one.
      await queue.hold(Array.from(batch.tables.values(), ({ schema }) => schema));
      const written = await adapter.insertDeltas(batch);
      // Another process may have ended, or done nothing of this so far: once, everything is looked at.
      const touched = Array.from(batch.tables.keys()).filter((table) =>
        first || !written.ok || written.value.get(table)?.status !== "empty"
      );
      first = false;
      await queue.start(new Set(touched));
      return written;
    },
    stats: () => queue?.stats() ?? Promise.resolve(ok({ done: 0, tables: new Map() })),
    resume,
    async idle() {
      await queue?.idle();
    },
    async close() {
      await queue?.close();
      await adapter.close();
    },
  };
}

/** Materialises in this process. */
function queueOf(options: MaterialiseAfterFlush, destination: string): FlushWork {
  const { with: target, jobs, onFailure, logger = silentLogger, scheduler } = options;
  const misfits = new Misfits();
  const queue = new FlushQueue({
    ...(jobs !== undefined && { jobs }),
    ...(scheduler !== undefined && { scheduler }),
    run: materialiseJob({ target, misfits, logger, destination }),
    onFailure(failure) {
      const { table, attempts, error: { code, message } } = failure;
      logger.log("error", "materialise.failed", { destination, table, attempts, code, message });
      onFailure?.(failure);
    },
  });
  return {
    resume: () => queue.resume(),
    hold: (schemas) => queue.hold(schemas),
    start: (tables) => queue.start(tables),
    stats() {
      const { done, waiting } = queue.stats();
      const tables = new Map<string, TableJobStats>();
      for (const [table, job] of waiting) tables.set(table, { waiting: true, ...job });
      return Promise.resolve(ok({ done, tables: misfits.addedTo(tables) }));
    },
    idle: () => queue.idle(),
    close: () => queue.close(),
  };
}
