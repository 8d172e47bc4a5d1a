import {
  abortedError,
  bodyChunks,
  checkByteRange,
  checkListLimit,
  checkObjectKey,
  checkObjectPrefix,
  type Clock,
  err,
  LakeSyncError,
  type ObjectInfo,
  type ObjectStore,
  ok,
  systemClock,
  toLakeSyncError,
} from "@lakesync/core";

/** Options of {@linkcode memoryObjectStore}. */
export interface MemoryObjectStoreOptions {
  /**
   * The URL that the store says it is at.
   *
   * @default {"memory:///lake"}
   */
  readonly location?: string;
  /**
   * Tells when an object was written.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

interface MemoryObject {
  readonly bytes: Uint8Array;
  readonly modified: number;
}

/**
 * An object store that forgets: for tests and for trying things out.
 *
 * @param options Its location and clock.
 * @returns An empty store. An ill-formed key or range rejects with `TypeError`.
 *
 * @example Put and get
 * ```ts
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const store = memoryObjectStore();
 * unwrapOrThrow(await store.put("a/b", new Uint8Array([1, 2, 3])));
 * assertEquals(unwrapOrThrow(await store.get("a/b", { start: 1 })), new Uint8Array([2, 3]));
 * ```
 */
export function memoryObjectStore(options: MemoryObjectStoreOptions = {}): ObjectStore {
  const { location = "memory:///lake", clock = systemClock } = options;
  const objects = new Map<string, MemoryObject>();
  const info = (key: string, { bytes, modified }: MemoryObject): ObjectInfo => ({
    key,
    size: bytes.length,
    modified,
  });
  return {
    location,

    async put(key, body, { ifAbsent = false, signal } = {}) {
      checkObjectKey(key);
      try {
        signal?.throwIfAborted();
        const chunks: Uint8Array[] = [];
        for await (const chunk of bodyChunks(body, signal)) chunks.push(chunk.slice());
        signal?.throwIfAborted();
        if (ifAbsent && objects.has(key)) {
          return err(new LakeSyncError("CONFLICT", `Cannot put "${key}": it is there already`));
        }
        objects.set(key, { bytes: concat(chunks), modified: clock.now() });
        return ok(undefined);
      } catch (thrown) {
        return err(
          signal?.aborted === true
            ? abortedError(`the put of "${key}"`, signal)
            : toLakeSyncError(thrown, "STORAGE_ERROR"),
        );
      }
    },

    // deno-lint-ignore require-await -- async, so that an ill-formed key rejects as in every store
    async get(key, { start = 0, end = Infinity, signal } = {}) {
      checkObjectKey(key);
      checkByteRange(start, end);
      if (signal?.aborted === true) return err(abortedError(`the get of "${key}"`, signal));
      const object = objects.get(key);
      if (object === undefined) {
        return err(new LakeSyncError("NOT_FOUND", `Cannot get "${key}": there is no such object`));
      }
      return ok(object.bytes.slice(start, end));
    },

    // deno-lint-ignore require-await -- async, so that an ill-formed key rejects as in every store
    async head(key) {
      checkObjectKey(key);
      const object = objects.get(key);
      return ok(object && info(key, object));
    },

    // deno-lint-ignore require-await -- async, so that an ill-formed prefix rejects as in every store
    async list(prefix, { after, limit = 1000, signal } = {}) {
      checkObjectPrefix(prefix);
      checkListLimit(limit);
      if (signal?.aborted === true) return err(abortedError(`the listing of "${prefix}"`, signal));
      // Keys are ASCII, so the order of code units is that of bytes.
      const keys = [...objects.keys()]
        .filter((key) => key.startsWith(prefix) && (after === undefined || key > after))
        .sort();
      const page = keys.slice(0, limit);
      return ok({
        objects: page.map((key) => info(key, objects.get(key)!)),
        next: keys.length > limit ? page.at(-1) : undefined,
      });
    },

    // deno-lint-ignore require-await -- async, so that an ill-formed key rejects as in every store
    async delete(keys) {
      for (const key of keys) checkObjectKey(key);
      for (const key of keys) objects.delete(key);
      return ok(undefined);
    },
  };
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  const whole = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}
