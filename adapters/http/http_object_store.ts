import {
  abortedError,
  checkByteRange,
  checkListLimit,
  checkObjectKey,
  checkObjectPrefix,
  err,
  LakeSyncError,
  type ObjectStore,
  ok,
  type Result,
} from "@lakesync/core";

/** Options of {@linkcode httpObjectStore}. */
export interface HttpObjectStoreOptions {
  /** The URL that keys are appended to, with or without a slash at its end. */
  readonly url: string | URL;
  /**
   * Headers of each request, asked for anew each time: a token, say.
   *
   * @default {undefined} none
   */
  readonly headers?: () => HeadersInit | Promise<HeadersInit>;
  /**
   * Does the requests.
   *
   * @default {fetch}
   */
  readonly fetch?: (url: URL, init: RequestInit) => Promise<Response>;
}

/**
 * The objects below a URL, as any web server, a bucket that is open to reading or a CDN serves them.
 * It reads only, and lists nothing, for which HTTP has no way: a catalogue on it must know its tables'
 * names. From a page the server has to allow the page's origin (CORS), with the header `Range`.
 *
 * @param options The URL.
 * @returns The store. Its writes and lists are `STORAGE_ERROR`, a server that is not reached `OFFLINE`.
 * An ill-formed key or range rejects with `TypeError`.
 *
 * @example A lake behind a web server
 * ```ts
 * import { httpObjectStore } from "@lakesync/adapter-http";
 * import { assertEquals } from "@std/assert";
 *
 * const store = httpObjectStore({
 *   url: "https://lake.example/prod/",
 *   fetch: () => Promise.resolve(new Response("one,two")),
 * });
 * assertEquals(store.location, "https://lake.example/prod");
 * const part = await store.get("a.csv", { start: 4, end: 7 });
 * assertEquals(part.ok && new TextDecoder().decode(part.value), "two");
 * ```
 */
export function httpObjectStore(options: HttpObjectStoreOptions): ObjectStore {
  const { headers, fetch: send = (url, init) => fetch(url, init) } = options;
  const location = new URL(options.url).href.replace(/\/+$/, "");

  async function ask<T>(
    key: string,
    init: { method: "GET" | "HEAD"; range?: string; signal?: AbortSignal | undefined },
    read: (response: Response) => Promise<Result<T>> | Result<T>,
  ): Promise<Result<T>> {
    const { method, range, signal } = init;
    try {
      const all = new Headers(await headers?.());
      if (range !== undefined) all.set("range", range);
      // A key may hold "%", which in a path would begin an escape.
      const url = new URL(`${location}/${key.replaceAll("%", "%25")}`);
      const request = { method, headers: all, ...(signal !== undefined && { signal }) };
      return await read(await send(url, request));
    } catch (cause) {
      if (signal?.aborted === true) return err(abortedError(`the get of "${key}"`, signal));
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `Cannot reach ${location} for "${key}", try again: ${reason}`;
      return err(new LakeSyncError("OFFLINE", message, { cause }));
    }
  }

  return {
    location,

    async get(key, { start = 0, end = Infinity, signal } = {}) {
      checkObjectKey(key);
      checkByteRange(start, end);
      // HTTP knows no empty range: one byte is asked for, to learn whether there is an object.
      const last = Math.max(end - 1, start);
      const range = `bytes=${start}-${last === Infinity ? "" : last}`;
      const ranged = start > 0 || end !== Infinity;
      return await ask(
        key,
        { method: "GET", signal, ...(ranged && { range }) },
        async (response) => {
          if (response.status === 416) return ok(await emptied(response));
          if (!response.ok) return await refused(key, response);
          const bytes = new Uint8Array(await response.arrayBuffer());
          // A server that knows no ranges gives all.
          if (response.status !== 206) return ok(bytes.slice(start, end));
          return ok(end === start ? new Uint8Array() : bytes);
        },
      );
    },

    async head(key) {
      checkObjectKey(key);
      return await ask(key, { method: "HEAD" }, async (response) => {
        if (response.status === 404) return ok(undefined);
        if (!response.ok) return await refused(key, response);
        const modified = Date.parse(response.headers.get("last-modified") ?? "");
        return ok({
          key,
          size: Number(response.headers.get("content-length")),
          modified: Number.isNaN(modified) ? 0 : modified,
        });
      });
    },

    put: async (key) => {
      checkObjectKey(key);
      return await cannot("put");
    },

    list: async (prefix, { limit = 1000 } = {}) => {
      checkObjectPrefix(prefix);
      checkListLimit(limit);
      return await cannot("list");
    },

    delete: async (keys) => {
      for (const key of keys) checkObjectKey(key);
      return await cannot("delete");
    },
  };

  function cannot(what: string): Promise<Result<never>> {
    const message = `Cannot ${what} at ${location}: a web server only gives objects by their names`;
    return Promise.resolve(err(new LakeSyncError("STORAGE_ERROR", message)));
  }
}

async function emptied(response: Response): Promise<Uint8Array> {
  await response.body?.cancel();
  return new Uint8Array();
}

async function refused(key: string, response: Response): Promise<Result<never>> {
  await response.body?.cancel();
  if (response.status === 404) {
    return err(new LakeSyncError("NOT_FOUND", `Cannot get "${key}": there is no such object`));
  }
  const hint = response.status === 401 || response.status === 403 ? ", check the headers" : "";
  const message = `Cannot get "${key}": the server says ${response.status}${hint}`;
  return err(new LakeSyncError("STORAGE_ERROR", message));
}
