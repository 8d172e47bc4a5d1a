import {
  databaseDestination,
  mergedTables,
  sqlAdapter,
  sqlPruning,
  storedJobs,
} from "@lakesync/adapter-database";
import { lifecycleDatabase } from "@lakesync/adapter-routing";
import {
  type DatabaseAdapter,
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
import { type IcebergOptions, icebergPlace } from "./iceberg_destination.ts";
import { lakeDatabase } from "./lake_database.ts";
import { keepPlace, type LakePlace } from "./lake_places.ts";

/** Options of {@linkcode lifecycle}. */
export interface LifecycleChoice {
  /** Opens where deltas go first: `({ gateway }) => postgresServer({ url, schema: gateway })`, say. */
  readonly hot: (context: DestinationContext) => Promise<Result<SqlServer>>;
  /**
   * Where rows go that were not changed for long: what opens a database, or a place for Iceberg tables
   * (as {@linkcode iceberg} takes it), from which nothing is read until somebody asks. Nobody else may
   * write there: no lake, no destination, no other server.
   */
  readonly cold:
    | ((context: DestinationContext) => Promise<Result<SqlServer>>)
    | IcebergOptions;
  /**
   * Keep tables for people to query in the hot database, one for each table of the gateway, with all rows:
   * what moves are deltas and stamps. Only beside a cold database, as each change looks there.
   *
   * @default {false}
   */
  readonly materialise?: boolean;
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
/** How many deltas are moved to a lake at once: each time makes a file. */
const LAKE_MOVE = 10_000;

/**
 * Two places as one destination: every flush goes to the hot database, and rows that were not changed for
 * long are moved to the cold one, or to a lake (`lifecycleDatabase` in `@lakesync/adapter-routing` and
 * `lakeDatabase` read them as one).
 * The server moves them while it runs, from its first flush with news on.
 *
 * @param options The databases, the age, and how often.
 * @returns What a configuration takes.
 * @throws {TypeError} Where the age or the interval is no number above 0, a lake has no place, or tables
 * for people are wanted beside one.
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
  const { materialise = false } = options;
  if (materialise && typeof options.cold !== "function") {
    throw new TypeError("Cannot materialise beside a lake: each change would be looked up there");
  }
  const { place, open: openCold } = coldPlace(options.cold);
  const factory: DestinationFactory = async (context) => {
    const { name, store, logger } = context;
    const hot = await open("hot", options.hot, context);
    if (!hot.ok) return hot;
    const cold = await openCold(context);
    if (!cold.ok) {
      await hot.value.close();
      return cold;
    }
    const database = lifecycleDatabase({
      name,
      hot: sqlAdapter({ server: hot.value, name }),
      pruning: sqlPruning(hot.value),
      cold: cold.value,
      ...typeof options.cold !== "function" && { moveDeltas: LAKE_MOVE },
      maxAgeMs: maxAgeDays * DAY_MS,
      store,
    });
    // With connections of its own: its transactions wait for the others'.
    const people = materialise ? await open("hot", options.hot, context) : undefined;
    if (people?.ok === false) {
      await database.close();
      return people;
    }
    const destination = databaseDestination(
      database,
      people && {
        materialise: {
          with: mergedTables({ database, server: people.value, store, key: `shown:${name}` }),
          jobs: storedJobs(store, { key: `materialise:${name}` }),
          logger,
        },
      },
    );
    await destination.resume();
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
      async stats() {
        const shown = await destination.stats();
        if (!shown.ok) return shown;
        const of = failure.error === undefined ? [] : tables;
        const waiting = of.map(({ table }) => [table, { waiting: true, ...failure }] as const);
        return ok({
          done: done + shown.value.done,
          tables: new Map([...shown.value.tables, ...waiting]),
        });
      },
      async close() {
        stopping.abort();
        await moving;
        await destination.close();
        await people?.value.close();
      },
    });
  };
  return place === undefined ? factory : keepPlace(factory, { ...place, cold: true });
}

type OpenDatabase = (context: DestinationContext) => Promise<Result<DatabaseAdapter>>;

/** A place where rows go that were not changed for long: how it is opened, and of a lake where it is. */
function coldPlace(cold: LifecycleChoice["cold"]): {
  readonly open: OpenDatabase;
  readonly place?: LakePlace;
} {
  if (typeof cold === "function") {
    return {
      open: async (context) => {
        const server = await open("cold", cold, context);
        return server.ok ? ok(sqlAdapter({ server: server.value, name: context.name })) : server;
      },
    };
  }
  const lake = icebergPlace(cold);
  return {
    place: lake.place,
    open: async (context) => {
      const { gateway, name } = context;
      const lakes = await lake.open(context);
      if (!lakes.ok) return lakes;
      const destination = lakes.value.destination(gateway, name);
      return ok(lakeDatabase({ catalogue: lakes.value.catalogue(gateway)!, destination }));
    },
  };
}

async function open(
  which: string,
  opener: LifecycleChoice["hot"],
  context: DestinationContext,
): Promise<Result<SqlServer>> {
  const server = await opener(context);
  if (server.ok) return server;
  const { code, message } = server.error;
  return err(new LakeSyncError(code, `destinations.${context.name}.${which}: ${message}`));
}
