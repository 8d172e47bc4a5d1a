import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  err,
  LakeSyncError,
  ok,
  parseTableSchemas,
  type Result,
  type Table,
  type TableSchema,
} from "@lakesync/core";

/** What `lakesync.config.ts` declares. */
export interface LakeConfig {
  /** The tables of every gateway. They only grow: see PROTOCOL, section 1. */
  tables: readonly Table[];
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
  const { tables: given, flushEvery, ...unknown } = config as { [key: string]: unknown };
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
  if (flushEvery !== undefined && !(typeof flushEvery === "number" && flushEvery > 0)) {
    return invalid(`${path}: flushEvery is not a number of seconds above 0`);
  }
  return ok({ tables: tables.value, flushEvery });
}

function invalid(message: string, cause?: unknown): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message, { cause }));
}
