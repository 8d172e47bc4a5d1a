import { err, LakeSyncError, ok, type Result } from "@lakesync/core";

/** Where objects are kept, and how many. */
export interface KeptObjectsOptions {
  readonly name: string;
  readonly maxBytes: number;
  /** Tells one store's objects from another's. */
  readonly location: string;
}

const BYTES = "bytes";

/**
 * Objects, and that there is none, in the Cache Storage. An entry's address has the key as its path
 * and the size as its query, so that what there is can be added up without being read.
 */
export class KeptObjects {
  readonly #options: KeptObjectsOptions;
  readonly #root: string;
  #cache: Promise<Cache> | undefined;

  constructor(options: KeptObjectsOptions) {
    this.#options = options;
    this.#root = `https://kept.invalid/${encodeURIComponent(options.location)}/`;
  }

  /** What was kept: an object, `NOT_FOUND`, or undefined for nothing. */
  async get(key: string): Promise<Result<Uint8Array> | undefined> {
    const cache = await this.#open();
    const found = await cache.match(this.#address(key), { ignoreSearch: true });
    if (found === undefined) return undefined;
    if (found.headers.get("x-kept") === "nothing") {
      return err(new LakeSyncError("NOT_FOUND", `Cannot get "${key}": there was no such object`));
    }
    return ok(new Uint8Array(await found.arrayBuffer()));
  }

  /** Keeps an object, or that there is none. Where there is no room for it, it is not kept. */
  async put(key: string, object: Result<Uint8Array>): Promise<void> {
    const cache = await this.#open();
    await cache.delete(this.#address(key), { ignoreSearch: true });
    const bytes = object.ok ? new Uint8Array(object.value) : new Uint8Array();
    if (bytes.length > this.#options.maxBytes) return;
    const address = `${this.#address(key)}?${BYTES}=${bytes.length}`;
    const headers = { "x-kept": object.ok ? "object" : "nothing" };
    try {
      await cache.put(address, new Response(bytes, { headers }));
      await this.#makeRoom(cache);
    } catch (thrown) {
      // The browser's own limit.
      if ((thrown as Error).name !== "QuotaExceededError") throw thrown;
    }
  }

  /** The entries come in the order in which they were put. */
  async #makeRoom(cache: Cache): Promise<void> {
    const entries = await cache.keys();
    const sizes = entries.map(({ url }) => Number(new URL(url).searchParams.get(BYTES)));
    let bytes = sizes.reduce((sum, size) => sum + size, 0);
    for (const [i, entry] of entries.entries()) {
      if (bytes <= this.#options.maxBytes) return;
      bytes -= sizes[i]!;
      await cache.delete(entry);
    }
  }

  #open(): Promise<Cache> {
    return this.#cache ??= caches.open(this.#options.name);
  }

  #address(key: string): string {
    return `${this.#root}${key.replaceAll("%", "%25")}`;
  }
}
