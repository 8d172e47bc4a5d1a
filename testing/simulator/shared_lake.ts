import { memoryObjectStore } from "@lakesync/adapter-memory";
import {
  type Clock,
  err,
  LakeSyncError,
  type ObjectStore,
  type Result,
  unwrapOrThrow,
} from "@lakesync/core";
import type { SimProcess } from "./process.ts";
import type { Trace } from "./trace.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** What may go wrong with an operation of the object store. */
export type LakeFault =
  /** 503: nothing was done. */
  | "unavailable"
  /** 500 after it was done. */
  | "lose-answer"
  /** A connection breaks: it is done later, perhaps when nobody counts on it any more. */
  | "linger"
  | undefined;

/** What a {@linkcode SharedLake} works with. */
export interface SharedLakeOptions {
  readonly time: VirtualTime;
  readonly clock: Clock;
  /** About how long an operation takes, in ms. */
  readonly latencyMs: number;
  readonly trace: Trace;
  /** Draws what goes wrong with an operation. */
  readonly fault: (name: string, key: string) => LakeFault;
  /** Called when an object was put. */
  readonly put: (key: string) => void;
}

/**
 * The object store that all instances write to. A request that is on its way when its sender dies is
 * done all the same; and 412 or 409, a conditional put that another one overtook, comes about by
 * itself.
 */
export class SharedLake {
  readonly #options: SharedLakeOptions;
  #objects: ObjectStore;

  constructor(options: SharedLakeOptions) {
    this.#options = options;
    this.#objects = memoryObjectStore({ clock: options.clock });
  }

  /** Another, empty one takes its place. */
  replace(): void {
    this.#objects = memoryObjectStore({ clock: this.#options.clock });
  }

  /** A copy of all that is in it. */
  async backup(): Promise<ObjectStore> {
    return await copyOf(this.#objects, this.#options.clock);
  }

  /** Puts a copy in its place: what is still on its way goes to the old one. */
  async restore(backup: ObjectStore): Promise<void> {
    this.#objects = await copyOf(backup, this.#options.clock);
  }

  /** Its objects as somebody sees them for whom no time passes: for checks. */
  peek(): ObjectStore {
    return this.#objects;
  }

  /** The store as an instance sees it. */
  open(process: SimProcess): ObjectStore {
    const objects = this.#objects;
    const { time, latencyMs, trace, fault, put } = this.#options;
    const through = <T>(
      name: string,
      key: string,
      run: () => Promise<Result<T>>,
    ): Promise<Result<T>> => {
      const what = fault(name, key);
      const { promise, resolve } = Promise.withResolvers<Result<T>>();
      const arrives = time.now + process.draw(latencyMs);
      const answer = (result: Result<T>): void => {
        process.at(time.now + process.draw(latencyMs), () => resolve(result));
      };
      const broken = (reason: string): void =>
        answer(err(new LakeSyncError("STORAGE_ERROR", `Cannot ${name} "${key}": ${reason}`)));
      const arrive = async (): Promise<void> => {
        const result = await run();
        trace.note(process.name, `lake ${name} ${key}`, result.ok ? "" : result.error.code);
        if (!result.ok && result.error.code === "CONFLICT") trace.count("lake 412");
        if (name === "put" && result.ok && objects === this.#objects) put(key);
        if (what === undefined) answer(result);
        else if (what === "lose-answer") broken("500, the answer was lost");
      };
      if (what !== "unavailable") {
        time.at(arrives + (what === "linger" ? 2_000 + process.draw(20_000) : 0), arrive);
      }
      if (what === "unavailable") time.at(arrives, () => broken("503"));
      if (what === "linger") time.at(arrives, () => broken("the connection was reset"));
      return promise;
    };
    return {
      location: objects.location,
      put: async (key, body, options) => {
        const bytes = await wholeBody(body);
        return await through("put", key, () => objects.put(key, bytes, options));
      },
      get: (key, options) => through("get", key, () => objects.get(key, options)),
      head: (key) => through("head", key, () => objects.head(key)),
      list: (prefix, options) => through("list", prefix, () => objects.list(prefix, options)),
      delete: (keys) => through("delete", keys.join(" "), () => objects.delete(keys)),
    };
  }
}

async function copyOf(objects: ObjectStore, clock: Clock): Promise<ObjectStore> {
  const copy = memoryObjectStore({ clock });
  for (const { key } of unwrapOrThrow(await objects.list("", { limit: 100_000 })).objects) {
    unwrapOrThrow(await copy.put(key, unwrapOrThrow(await objects.get(key))));
  }
  return copy;
}

async function wholeBody(
  body: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body;
  const chunks: number[] = [];
  for await (const chunk of body) chunks.push(...chunk);
  return new Uint8Array(chunks);
}
