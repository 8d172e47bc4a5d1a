import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
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
import { parseLimits, parseRates, type Rates } from "./config_limits.ts";

/** What `lakesync.config.ts` declares. */
export interface LakeConfig {
  /** The tables of every gateway. They only grow: see PROTOCOL, section 1. */
  tables: readonly Table[];
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
   * How often the log is flushed to the lake, in seconds.
   *
   * @default {60}
   */
  flushEvery?: number;
}

/**
 * Declares what data there is. The default export of a `lakesync.config.ts`.
 *
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
export function defineLake(config: LakeConfig): LakeConfig {
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
  /** Seconds between flushes. */
  readonly flushEvery: number | undefined;
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
  const { tables: given, rules: givenRules, limits, rates, flushEvery, ...unknown } = config as {
    [key: string]: unknown;
  };
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
  if (flushEvery !== undefined && !(typeof flushEvery === "number" && flushEvery > 0)) {
    return invalid(`${path}: flushEvery is not a number of seconds above 0`);
  }
  return ok({
    tables: tables.value,
    rules: rules.value,
    limits: checkedLimits.value,
    rates: checkedRates.value,
    flushEvery,
  });
}

function invalid(message: string, cause?: unknown): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message, { cause }));
}
