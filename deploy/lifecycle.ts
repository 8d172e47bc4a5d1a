import { databaseDestination, sqlAdapter, sqlPruning } from "@lakesync/adapter-database";
import { lifecycleDatabase } from "@lakesync/adapter-routing";
import {
  err,
  LakeSyncError,
  ok,
  type Result,
  type Scheduler,
  type SqlServer,
  systemScheduler,
  type TableJobStats,
  type TableSchema,
} from "@lakesync/core";
import type { DestinationContext, DestinationFactory } from "./databases.ts";

/** Options of {@linkcode lifecycle}. */
export interface LifecycleChoice {
  /** Opens where deltas go first: `({ gateway }) => postgresServer({ url, schema: gateway })`, say. */
  readonly hot: (context: DestinationContext) => Promise<Result<SqlServer>>;
  /** Opens where rows go that were not changed for long. */
  readonly cold: (context: DestinationContext) => Promise<Result<SqlServer>>;
  /** A row moves when its newest stamp is older than this, in days. */
  readonly maxAgeDays: number;
  /**
   * How often rows are moved, in seconds.
   *
   * @default {3600}
   */
  readonly every?: number;
  /**
   * Waiting.
   *
   * @default {systemScheduler}
   */
  readonly scheduler?: Scheduler;
}

const DEFAULT_EVERY = 3600;
const DAY_MS = 86_400_000;

/**
 * Two databases as one destination: every flush goes to the hot one, and rows that were not changed for
 * long are moved to the cold one (`lifecycleDatabase` in `@lakesync/adapter-routing` reads them as one).
 * The server moves them while it runs, from its first flush with news on.
 *
 * @param options The databases, the age, and how often.
 * @returns What a configuration takes.
 * @throws {TypeError} Where the age or the interval is no number above 0.
 *
 * @example In a lakesync.config.ts
 * ```ts
 * import { mysqlServer } from "@lakesync/adapter-mysql";
 * import { postgresServer } from "@lakesync/adapter-postgres";
 * import { defineTable, string } from "@lakesync/core";
 * import { defineLake, lifecycle } from "@lakesync/deploy";
 *
 * export default defineLake({
 *   tables: [defineTable("orders", { item: string() })],
 *   destinations: {
 *     orders: lifecycle({
 *       hot: () => postgresServer({ url: "postgres://app@127.0.0.1/shop" }),
 *       cold: () => mysqlServer({ url: "mysql://app@127.0.0.1/archive" }),
 *       maxAgeDays: 90,
 *     }),
 *   },
 * });
 * ```
 */
export function lifecycle(options: LifecycleChoice): DestinationFactory {
  const { maxAgeDays, every = DEFAULT_EVERY, scheduler = systemScheduler } = options;
  for (const [name, value] of Object.entries({ maxAgeDays, every })) {
    if (!(Number.isFinite(value) && value > 0)) {
      throw new TypeError(`Cannot move rows with ${name} ${value}: not a number above 0`);
    }
  }
  return async (context) => {
    const { name, store, logger } = context;
    const hot = await open(options.hot, context, "hot");
    if (!hot.ok) return hot;
    const cold = await open(options.cold, context, "cold");
    if (!cold.ok) {
      await hot.value.close();
      return cold;
    }
    const database = lifecycleDatabase({
      name,
      hot: sqlAdapter({ server: hot.value, name }),
      pruning: sqlPruning(hot.value),
      cold: sqlAdapter({ server: cold.value, name }),
      maxAgeMs: maxAgeDays * DAY_MS,
      store,
    });
    const destination = databaseDestination(database);
    let tables: readonly TableSchema[] = [];
    let done = 0;
    let failure: Pick<TableJobStats, "attempts" | "error"> = { attempts: 0 };
    const stopping = new AbortController();
    const { signal } = stopping;
    const move = async (): Promise<void> => {
      const moved = await database.move(tables, { signal });
      if (moved.ok) {
        done += moved.value.moved;
        failure = { attempts: 0 };
        if (moved.value.moved > 0) logger.log("info", "lifecycle.moved", { name, ...moved.value });
      } else if (!signal.aborted) {
        const { code, message } = moved.error;
        failure = { attempts: failure.attempts + 1, error: moved.error };
        logger.log("error", "lifecycle.failed", { name, code, message });
      }
    };
    const moving = (async () => {
      while (!signal.aborted) {
        if (tables.length > 0) await move();
        await scheduler.delay(every * 1000, { signal });
      }
    })();
    return ok({
      ...destination,
      write: (batch) => {
        tables = Array.from(batch.tables.values(), ({ schema }) => schema);
        return destination.write(batch);
      },
      stats: () => {
        const of = failure.error === undefined ? [] : tables;
        const waiting = of.map(({ table }) => [table, { waiting: true, ...failure }] as const);
        return Promise.resolve(ok({ done, tables: new Map(waiting) }));
      },
      async close() {
        stopping.abort();
        await moving;
        await destination.close();
      },
    });
  };
}

async function open(
  opener: LifecycleChoice["hot"],
  context: DestinationContext,
  which: string,
): Promise<Result<SqlServer>> {
  const server = await opener(context);
  if (server.ok) return server;
  const { code, message } = server.error;
  return err(new LakeSyncError(code, `destinations.${context.name}.${which}: ${message}`));
}
