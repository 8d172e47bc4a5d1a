import {
  err,
  LakeSyncError,
  type LogStore,
  ok,
  parseTableSchemas,
  type Result,
  type TableSchema,
} from "@lakesync/core";

/** Where a {@linkcode FlushQueue} keeps what it still has to do. */
export interface FlushJobs {
  /** What was kept. */
  load(): Promise<Result<readonly TableSchema[]>>;
  /** Keeps this in place of what was kept. */
  save(tables: readonly TableSchema[]): Promise<Result<void>>;
}

/**
 * Keeps jobs in memory: those that wait are lost with the process, and made up for by the next
 * flush of their table.
 *
 * @returns The jobs.
 *
 * @example Nothing waits at first
 * ```ts
 * import { memoryJobs } from "@lakesync/adapter-database";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(unwrapOrThrow(await memoryJobs().load()), []);
 * ```
 */
export function memoryJobs(): FlushJobs {
  let kept: readonly TableSchema[] = [];
  return {
    load: () => Promise.resolve(ok(kept)),
    save(tables) {
      kept = tables;
      return Promise.resolve(ok(undefined));
    },
  };
}

/**
 * Keeps jobs in a value of a gateway's log store, so that they outlive the process.
 *
 * @param store The log store, or what has its values.
 * @param options `key`: the value's name.
 * @returns The jobs; `CORRUPT` where the value is not one of ours.
 *
 * @example What was kept is there again
 * ```ts
 * import { storedJobs } from "@lakesync/adapter-database";
 * import { ok, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const values = new Map<string, string>();
 * const store = {
 *   getValue: (key: string) => Promise.resolve(ok(values.get(key))),
 *   setValue: (key: string, value: string | null) => {
 *     if (value === null) values.delete(key);
 *     else values.set(key, value);
 *     return Promise.resolve(ok(undefined));
 *   },
 * };
 * const schema = { table: "todos", version: 1, columns: [] };
 * unwrapOrThrow(await storedJobs(store, { key: "jobs" }).save([schema]));
 * assertEquals(unwrapOrThrow(await storedJobs(store, { key: "jobs" }).load()), [schema]);
 * ```
 */
export function storedJobs(
  store: Pick<LogStore, "getValue" | "setValue">,
  options: { readonly key: string },
): FlushJobs {
  const { key } = options;
  return {
    async load() {
      const value = await store.getValue(key);
      if (!value.ok) return value;
      if (value.value === undefined) return ok([]);
      try {
        return parseTableSchemas(JSON.parse(value.value), key);
      } catch (cause) {
        return err(new LakeSyncError("CORRUPT", `The value "${key}" is no JSON`, { cause }));
      }
    },
    save: (tables) => store.setValue(key, tables.length === 0 ? null : JSON.stringify(tables)),
  };
}
