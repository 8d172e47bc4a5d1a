import { err, LakeSyncError, type ObjectStore, type Result } from "@lakesync/core";

/** What can be made to go wrong with an operation of an {@linkcode ObjectStore}. */
export type StoreFault =
  /** It is not done, and answers `STORAGE_ERROR`. */
  | "fail"
  /** It is done, and answers `STORAGE_ERROR`: the answer was lost. */
  | "lose-answer"
  /** A put gets its first bytes to the disk, which then is full. */
  | { readonly fullAfterBytes: number }
  /** It is done when this has resolved. */
  | { readonly after: Promise<void> };

/** An operation that is about to be done. */
export interface StoreOperation {
  /** Which one. */
  readonly name: "put" | "get" | "head" | "list" | "delete";
  /** The key, the prefix, or the first of the keys. */
  readonly key: string;
  /** The first is 1, over all operations of this store. */
  readonly count: number;
}

/**
 * A store in front of another one on which chosen operations go wrong.
 *
 * @param store The store behind it.
 * @param fault Called before each operation; what it returns goes wrong with it, undefined nothing.
 * @returns The faulty store.
 *
 * @example The first put's answer is lost
 * ```ts ignore
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { faultyObjectStore } from "@lakesync/testing";
 *
 * const store = faultyObjectStore(
 *   memoryObjectStore(),
 *   ({ name, count }) => name === "put" && count === 1 ? "lose-answer" : undefined,
 * );
 * ```
 */
export function faultyObjectStore(
  store: ObjectStore,
  fault: (operation: StoreOperation) => StoreFault | undefined,
): ObjectStore {
  let count = 0;
  const through = async <T>(
    name: StoreOperation["name"],
    key: string,
    run: (what: StoreFault | undefined) => Promise<Result<T>>,
  ): Promise<Result<T>> => {
    const what = fault({ name, key, count: ++count });
    if (what === "fail") return err(broken(name, key, "the store failed"));
    if (typeof what === "object" && "after" in what) await what.after;
    const result = await run(what);
    return what === "lose-answer" ? err(broken(name, key, "the answer was lost")) : result;
  };
  return {
    location: store.location,
    put: (key, body, options) =>
      through("put", key, (what) => {
        const full = typeof what === "object" && "fullAfterBytes" in what;
        return store.put(
          key,
          full ? filling(body, { key, bytes: what.fullAfterBytes }) : body,
          options,
        );
      }),
    get: (key, options) => through("get", key, () => store.get(key, options)),
    head: (key) => through("head", key, () => store.head(key)),
    list: (prefix, options) => through("list", prefix, () => store.list(prefix, options)),
    delete: (keys) => through("delete", keys[0] ?? "", () => store.delete(keys)),
  };
}

/** The same body on a disk that is full after so many bytes. */
async function* filling(
  body: Uint8Array | AsyncIterable<Uint8Array>,
  full: { key: string; bytes: number },
): AsyncGenerator<Uint8Array> {
  let left = full.bytes;
  for await (const chunk of body instanceof Uint8Array ? [body] : body) {
    yield chunk.subarray(0, left);
    left -= chunk.length;
    if (left < 0) {
      throw broken("put", full.key, "ENOSPC, no space left on device");
    }
  }
}

function broken(name: string, key: string, reason: string): LakeSyncError {
  return new LakeSyncError("STORAGE_ERROR", `Cannot ${name} "${key}": ${reason}`);
}
