import { err, ok, type Result } from "@lakesync/core";
import type { KvAtomic, KvDatabase, KvEntry } from "./kv_database.ts";
import { storageError } from "./kv_error.ts";

/** Options of {@linkcode openDenoKv}. */
export interface OpenDenoKvOptions {
  /**
   * A file; `:memory:`; the URL of a KV Connect server.
   *
   * @default {undefined} on Deno Deploy the project's database, elsewhere the script's own
   */
  path?: string;
}

/**
 * Opens Deno KV. Only on Deno, started with `--unstable-kv` or `"unstable": ["kv"]`. Several
 * processes may open one file.
 *
 * @param options Which database.
 * @returns The database; `STORAGE_ERROR` where it cannot be opened.
 *
 * @example A database in memory
 * ```ts
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { openDenoKv } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const kv = unwrapOrThrow(await openDenoKv({ path: ":memory:" }));
 * assertEquals((await kv.get(["nothing"])).value, null);
 * kv.close();
 * ```
 */
export async function openDenoKv(options: OpenDenoKvOptions = {}): Promise<Result<KvDatabase>> {
  if (!("Deno" in globalThis) || typeof Deno.openKv !== "function") {
    throw new TypeError("Cannot open Deno KV: run Deno with --unstable-kv");
  }
  try {
    return ok(patient(await retry(() => Deno.openKv(options.path))));
  } catch (thrown) {
    return err(storageError(thrown));
  }
}

/** How long one waits for a file that another process is writing: so many times so many ms. */
const WAITS = 1_000;
const WAIT_MS = 5;

/** Repeats what fails only because another process is just writing the file: KV does not wait. */
async function retry<T>(body: () => Promise<T>): Promise<T> {
  for (let waits = 0;; waits++) {
    try {
      return await body();
    } catch (thrown) {
      const locked = thrown instanceof Error && thrown.message.includes("database is locked");
      if (!locked || waits >= WAITS) throw thrown;
      // deno-lint-ignore lakesync/ports -- the database's own waiting for its file, which is no gateway's time
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    }
  }
}

/** The same database, which waits for other processes. */
function patient(kv: Deno.Kv): KvDatabase {
  const patientAtomic = (atomic: KvAtomic): KvAtomic => {
    const same: KvAtomic = {
      check: (check) => (atomic.check(check), same),
      set: (key, value) => (atomic.set(key, value), same),
      delete: (key) => (atomic.delete(key), same),
      // A locked file was not written to, so this does nothing twice.
      commit: () => retry(() => atomic.commit()),
    };
    return same;
  };
  return {
    get: (key) => retry(() => kv.get(key)),
    getMany: (keys) => retry<readonly KvEntry[]>(() => kv.getMany(keys)),
    list: (selector, options) => patientList(kv.list(selector, options)),
    atomic: () => patientAtomic(kv.atomic()),
    watch: (keys) => kv.watch(keys),
    close: () => kv.close(),
  };
}

function patientList(list: Deno.KvListIterator<unknown>): AsyncIterable<KvEntry> {
  const iterator = list[Symbol.asyncIterator]();
  // A batch that failed is read again by the next call.
  return { [Symbol.asyncIterator]: () => ({ next: () => retry(() => iterator.next()) }) };
}
