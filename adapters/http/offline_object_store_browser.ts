import {
  type GetOptions,
  type ObjectInfo,
  type ObjectStore,
  ok,
  type Result,
} from "@lakesync/core";
import { KeptObjects } from "./_kept_objects_browser.ts";

/** Options of {@linkcode offlineObjectStore}. */
export interface OfflineObjectStoreOptions {
  /**
   * The name of the cache in the browser's Cache Storage.
   *
   * @default {"lakesync-lake"}
   */
  readonly name?: string;
  /**
   * The most bytes of objects that are kept; those that were stored first go first.
   *
   * @default {268_435_456}
   */
  readonly maxBytes?: number;
  /**
   * Whether an object never changes once it is there, so that what is kept of it is good online, too.
   *
   * @default {(key) => /\.(parquet|avro|metadata\.json)$/.test(key)} what a lake never writes twice
   */
  readonly immutable?: (key: string) => boolean;
}

/**
 * Keeps what was read of a store, in the browser's Cache Storage, so that it can be read again without
 * a network, also after the page was closed. Objects that never change are fetched once. Of any other,
 * and of what was not there, the last answer counts while the store cannot be reached.
 *
 * Reads of a part of an object that is not kept, lists and writes go to the store.
 *
 * @param store The store.
 * @param options How much is kept.
 * @returns A store with the same objects.
 *
 * @example A lake that can be asked offline
 * ```ts ignore
 * import { httpObjectStore, offlineObjectStore } from "@lakesync/adapter-http";
 *
 * const store = offlineObjectStore(httpObjectStore({ url: "https://lake.example/prod" }));
 * const object = await store.get("todos_changes/metadata/version-hint.text");
 * ```
 */
export function offlineObjectStore(
  store: ObjectStore,
  options: OfflineObjectStoreOptions = {},
): ObjectStore {
  const { name = "lakesync-lake", maxBytes = 2 ** 28 } = options;
  const { immutable = (key: string) => /\.(parquet|avro|metadata\.json)$/.test(key) } = options;
  const kept = new KeptObjects({ name, maxBytes, location: store.location });

  async function whole(key: string, signal: AbortSignal | undefined): Promise<Result<Uint8Array>> {
    const before = immutable(key) ? await kept.get(key) : undefined;
    if (before?.ok === true) return before;
    const now = await store.get(key, signal === undefined ? {} : { signal });
    if (now.ok || now.error.code === "NOT_FOUND") {
      await kept.put(key, now);
      return now;
    }
    return isUnreachable(now) ? await kept.get(key) ?? now : now;
  }

  return {
    location: store.location,
    put: (key, body, options) => store.put(key, body, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (keys) => store.delete(keys),

    async get(key, options: GetOptions = {}) {
      const { start = 0, end = Infinity, signal } = options;
      if (start === 0 && end === Infinity) return await whole(key, signal);
      const all = immutable(key) ? await kept.get(key) : undefined;
      return all?.ok === true ? ok(all.value.slice(start, end)) : await store.get(key, options);
    },

    async head(key): Promise<Result<ObjectInfo | undefined>> {
      const now = await store.head(key);
      if (now.ok || !isUnreachable(now)) return now;
      const before = await kept.get(key);
      if (before === undefined) return now;
      return ok(before.ok ? { key, size: before.value.length, modified: 0 } : undefined);
    },
  };
}

function isUnreachable({ error }: Extract<Result<unknown>, { ok: false }>): boolean {
  return error.code === "OFFLINE" || error.code === "STORAGE_ERROR";
}
