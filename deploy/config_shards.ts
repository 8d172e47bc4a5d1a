import { err, LakeSyncError, ok, type Result, type TableSchema } from "@lakesync/core";
import type { ShardConfig } from "./shards.ts";

/** Reads the `shards` of a configuration: tables that there are, each in one shard. */
export function parseShards(
  value: unknown,
  tables: readonly TableSchema[],
): Result<readonly ShardConfig[]> {
  if (value === undefined) return ok([]);
  if (!Array.isArray(value)) return invalid("shards is not a list of { name, tables }");
  const known = new Set(tables.map(({ table }) => table));
  const names = new Set<string>();
  const placed = new Map<string, string>();
  const shards: ShardConfig[] = [];
  for (const [i, shard] of value.entries()) {
    const { name, tables, ...strange } = (shard ?? {}) as { readonly [key: string]: unknown };
    const path = `shards[${i}]`;
    if (typeof name !== "string" || !/^[A-Za-z0-9_-]{1,32}$/.test(name)) {
      return invalid(`${path}.name is not 1 to 32 letters, digits, "_" or "-"`);
    }
    if (names.has(name)) return invalid(`${path}.name "${name}" is there already`);
    names.add(name);
    const [stranger] = Object.keys(strange);
    if (stranger !== undefined) return invalid(`${path}: "${stranger}" is not known, take it out`);
    if (!Array.isArray(tables) || tables.length === 0) {
      return invalid(`${path}.tables is not a list of names of tables`);
    }
    for (const [j, table] of (tables as unknown[]).entries()) {
      if (typeof table !== "string" || !known.has(table)) {
        return invalid(`${path}.tables[${j}] is not the name of a table`);
      }
      const other = placed.get(table);
      if (other !== undefined) {
        return invalid(`${path}.tables[${j}] "${table}" is in the shard "${other}" already`);
      }
      placed.set(table, name);
    }
    shards.push({ name, tables: tables as string[] });
  }
  return ok(shards);
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
