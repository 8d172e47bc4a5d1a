import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type Columns,
  err,
  indexTables,
  LakeSyncError,
  ok,
  parseRules,
  parseTableSchemas,
  type Result,
  type Rules,
  type Table,
  type TableSchema,
} from "@lakesync/core";

import type { GatewayLimits, HandlerLimits } from "@lakesync/gateway";
import { type FrontConfig, parseFront } from "./config_front.ts";
import { type FlowsConfig, type LoadedFlows, parseFlows } from "./config_flows.ts";
import { parseFlushAt, parseLake } from "./config_lake.ts";
import { parseLimits, parseRates, type Rates } from "./config_limits.ts";
import { parseShards } from "./config_shards.ts";
import { type Destinations, parseDestinations } from "./databases.ts";
import type { FlushThresholds } from "./flushing.ts";
import type { LakeChoice } from "./lake_choice.ts";
import type { ShardConfig } from "./shards.ts";

/** What `lakesync.config.ts` declares. */
export interface LakeConfig<
  T extends string = string,
  D extends string = string,
  S extends string = string,
> extends FrontConfig, FlowsConfig<T, D, S> {
  /** The tables of every gateway. They only grow: see PROTOCOL, section 1. */
  tables: readonly Table<T, Columns>[];
  /**
   * Who may see and change what: see PROTOCOL, section 5.
   *
   * @default {undefined} as it was put before; else everybody everything
   */
  rules?: Rules;
  /**
   * How much every gateway takes and gives at once, and how much all of them have in hand.
   *
   * @default {{}} PROTOCOL's limits
   */
  limits?: Partial<GatewayLimits & HandlerLimits>;
  /**
   * How often clients may ask: `{ perClient: { perSecond: 50, burst: 200 } }`, say.
   *
   * @default {undefined} as often as they like
   */
  rates?: Rates;
  /**
   * Tables that have a log and a lake of their own, `GATEWAY.NAME`. Clients notice nothing, but that a
   * transaction over tables of two shards is rejected. A table stays in the shard that it is given to.
   *
   * @default {[]}
   */
  shards?: readonly ShardConfig[];
  /**
   * Where the lakes are, and what they are made of: `{ url: "s3://bucket/prefix" }`, say, or
   * `{ catalogue: { url: "http://127.0.0.1:8181" } }`.
   *
   * @default {{}} Iceberg tables in `lake/` in the data directory
   */
  lake?: LakeChoice;
  /**
   * How often the log is flushed to the lake, in seconds.
   *
   * @default {60}
   */
  flushEvery?: number;
  /**
   * With how much that is not flushed yet a flush does not wait for its time.
   *
   * @default {{}} it always waits
   */
  flushAt?: FlushThresholds;
}

/**
 * Declares what data there is. The default export of a `lakesync.config.ts`.
 *
 * Names of tables, destinations and sources in `flows` are checked by the compiler.
 *
 * @typeParam T The names of the tables.
 * @typeParam D The names of the destinations.
 * @typeParam S The names of the sources.
 * @param config The declaration.
 * @returns The same, for the type's sake.
 *
 * @example A lakesync.config.ts
 * ```ts
 * import { boolean, defineTable, string } from "@lakesync/core";
 * import { defineLake } from "@lakesync/deploy";
 *
 * export default defineLake({
 *   tables: [defineTable("todos", { title: string(), done: boolean() })],
 * });
 * ```
 */
export function defineLake<
  T extends string,
  D extends string = never,
  S extends string = never,
>(config: LakeConfig<T, D, S>): LakeConfig<T, D, S> {
  return config;
}

/** A configuration as the server uses it. */
export interface LoadedConfig {
  /** The tables' wire schemas. */
  readonly tables: readonly TableSchema[];
  /** The rules, where there are any. */
  readonly rules: Rules | undefined;
  /** The limits that differ from the defaults. */
  readonly limits: Partial<GatewayLimits & HandlerLimits>;
  /** The rates, where there are any. */
  readonly rates: Rates | undefined;
  /** Who is let in from where. */
  readonly front: FrontConfig;
  /** The shards; none: one log for all tables. */
  readonly shards: readonly ShardConfig[];
  /** Where the lakes are. */
  readonly lake: LakeChoice | undefined;
  /** Where flushes go beside the lake. */
  readonly destinations: Destinations;
  /** Sources and flows, where any are declared. */
  readonly flows?: LoadedFlows;
  /** Seconds between flushes. */
  readonly flushEvery: number | undefined;
  /** What a flush does not wait with. */
  readonly flushAt: FlushThresholds | undefined;
}

/**
 * Loads a `lakesync.config.ts`.
 *
 * @param path Where it is.
 * @returns What it declares; `VALIDATION_ERROR` that names the path of the fault.
 *
 * @example A file that is not there
 * ```ts
 * import { loadConfig } from "@lakesync/deploy";
 * import { assertEquals } from "@std/assert";
 *
 * const loaded = await loadConfig("/nowhere/lakesync.config.ts");
 * assertEquals(loaded.ok || loaded.error.code, "VALIDATION_ERROR");
 * ```
 */
export async function loadConfig(path: string): Promise<Result<LoadedConfig>> {
  let loaded: { default?: unknown };
  try {
    loaded = await import(pathToFileURL(resolve(path)).href);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return invalid(`Cannot load "${path}": ${reason}`, cause);
  }
  const config = loaded.default;
  if (typeof config !== "object" || config === null) {
    return invalid(`${path}: it has no default export, write "export default defineLake({ … })"`);
  }
  const {
    tables: given,
    rules: givenRules,
    limits,
    rates,
    flushEvery,
    flushAt,
    lake,
    destinations,
    sources,
    flows,
    shards,
    origins,
    https,
    metrics,
    ready,
    ...unknown
  } = config as { [key: string]: unknown };
  const [stranger] = Object.keys(unknown);
  if (stranger !== undefined) return invalid(`${path}: "${stranger}" is not known, take it out`);
  if (!Array.isArray(given)) return invalid(`${path}: tables is not a list of tables`);
  const schemas = given.map((table) => (table as Partial<Table> | null)?.schema);
  const strange = schemas.indexOf(undefined);
  if (strange >= 0) {
    return invalid(`${path}: tables[${strange}] is not a table, make it with defineTable`);
  }
  const tables = parseTableSchemas(schemas, "tables");
  if (!tables.ok) return invalid(`${path}: ${tables.error.message}`);
  const rules = givenRules === undefined
    ? ok(undefined)
    : parseRules(givenRules, { tables: indexTables(tables.value) });
  if (!rules.ok) return invalid(`${path}: rules: ${rules.error.message}`);
  const checkedLimits = parseLimits(limits);
  if (!checkedLimits.ok) return invalid(`${path}: ${checkedLimits.error.message}`);
  const checkedRates = parseRates(rates);
  if (!checkedRates.ok) return invalid(`${path}: ${checkedRates.error.message}`);
  const front = parseFront({ origins, https, metrics, ready });
  if (!front.ok) return invalid(`${path}: ${front.error.message}`);
  const checkedShards = parseShards(shards, tables.value);
  if (!checkedShards.ok) return invalid(`${path}: ${checkedShards.error.message}`);
  if (flushEvery !== undefined && !(typeof flushEvery === "number" && flushEvery > 0)) {
    return invalid(`${path}: flushEvery is not a number of seconds above 0`);
  }
  const checkedLake = parseLake(lake);
  if (!checkedLake.ok) return invalid(`${path}: ${checkedLake.error.message}`);
  const checkedDestinations = parseDestinations(destinations);
  if (!checkedDestinations.ok) return invalid(`${path}: ${checkedDestinations.error.message}`);
  const checkedFlows = parseFlows({ sources, flows }, {
    tables: tables.value,
    destinations: checkedDestinations.value,
  });
  if (!checkedFlows.ok) return invalid(`${path}: ${checkedFlows.error.message}`);
  const checkedFlushAt = parseFlushAt(flushAt);
  if (!checkedFlushAt.ok) return invalid(`${path}: ${checkedFlushAt.error.message}`);
  return ok({
    tables: tables.value,
    rules: rules.value,
    limits: checkedLimits.value,
    rates: checkedRates.value,
    front: front.value,
    shards: checkedShards.value,
    lake: checkedLake.value,
    destinations: checkedDestinations.value,
    ...(checkedFlows.value !== undefined && { flows: checkedFlows.value }),
    flushEvery,
    flushAt: checkedFlushAt.value,
  });
}

function invalid(message: string, cause?: unknown): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message, { cause }));
}
