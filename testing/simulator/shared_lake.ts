import { memoryObjectStore } from "@lakesync/adapter-memory";
import { type Catalogue, filesCatalogue } from "@lakesync/adapter-iceberg";
import {
  type Clock,
  err,
  LakeSyncError,
  type ObjectStore,
  type Result,
  unwrapOrThrow,
} from "@lakesync/core";
import { openCatalogue, peekCatalogue } from "./catalogue_network.ts";
import type { JsonObject } from "./catalogue_rules.ts";
import type { SimProcess } from "./process.ts";
import { SharedCatalogue } from "./shared_catalogue.ts";
import type { Trace } from "./trace.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** What may go wrong with an operation of the object store, or of the catalogue. */
export type LakeFault =
  /** 503: nothing was done. */
  | "unavailable"
  /** 500 after it was done. */
  | "lose-answer"
  /** A connection breaks: it is done later, perhaps when nobody counts on it any more. */
  | "linger"
  /** It takes long. */
  | "slow"
  /** Of the objects that are to be removed some are, and then 500. */
  | "half"
  | undefined;

/** What a {@linkcode SharedLake} works with. */
export interface SharedLakeOptions {
  readonly time: VirtualTime;
  readonly clock: Clock;
  /** About how long an operation takes, in ms. */
  readonly latencyMs: number;
  /** Whether the tables are in a REST catalogue, and what that can do; undefined for files alone. */
  readonly rest: { readonly idempotent: boolean } | undefined;
  readonly trace: Trace;
  /** Draws what goes wrong with an operation. */
  readonly fault: (name: string, key: string) => LakeFault;
  /** Called when a table has another version. */
  readonly committed: (table: string) => void;
}

/** A copy of a lake. */
export interface LakeBackup {
  readonly objects: ObjectStore;
  readonly tables: ReadonlyMap<string, JsonObject> | undefined;
}

/** A lake as it is at one place: another one may take its place. */
interface Place {
  readonly objects: ObjectStore;
  readonly catalogue: SharedCatalogue | undefined;
}

/**
 * The lake that all instances write to: an object store, and in some worlds a catalogue. A request that
 * is on its way when its sender dies is done all the same; and 412 or 409, a commit that another one
 * overtook, comes about by itself.
 */
export class SharedLake {
  readonly #options: SharedLakeOptions;
  readonly #deaths = new Map<SimProcess, { left: number; readonly die: () => void }>();
  readonly #closing: (() => void)[] = [];
  #place: Place;
  #peeked: { readonly place: Place; readonly catalogue: Catalogue } | undefined;

  constructor(options: SharedLakeOptions) {
    this.#options = options;
    this.#place = this.#make();
  }

  #make(objects?: ObjectStore, tables: ReadonlyMap<string, JsonObject> = new Map()): Place {
    const { clock, rest } = this.#options;
    const store = objects ?? memoryObjectStore({ clock });
    return {
      objects: store,
      catalogue: rest && new SharedCatalogue(store.location, { ...rest, tables }),
    };
  }

  /** Another, empty one takes its place. */
  replace(): void {
    this.#place = this.#make();
  }

  /** A copy of all that is in it. */
  async backup(): Promise<LakeBackup> {
    const { objects, catalogue } = this.#place;
    return {
      objects: await copyOf(objects, this.#options.clock),
      tables: catalogue?.backup(),
    };
  }

  /** Puts a copy in its place: what is still on its way goes to the old one. */
  async restore({ objects, tables }: LakeBackup): Promise<void> {
    this.#place = this.#make(await copyOf(objects, this.#options.clock), tables);
  }

  /** The lake as somebody sees it for whom no time passes: for checks. */
  peek(): Catalogue {
    const place = this.#place;
    if (this.#peeked?.place === place) return this.#peeked.catalogue;
    const { objects, catalogue } = place;
    const { clock } = this.#options;
    const peeked = catalogue === undefined
      ? filesCatalogue(objects)
      : peekCatalogue(catalogue, { objects, clock, closing: this.#closing });
    this.#peeked = { place, catalogue: peeked };
    return peeked;
  }

  /** A process dies as soon as it has sent so many more requests to the lake. */
  dieAfter(process: SimProcess, requests: number, die: () => void): void {
    this.#deaths.set(process, { left: requests, die });
  }

  /** The lake as a process sees it. */
  open(process: SimProcess): Catalogue {
    const place = this.#place;
    const { catalogue } = place;
    const store = this.#store(process, place);
    if (catalogue === undefined) return filesCatalogue(store);
    const { time, latencyMs, trace, fault, clock, committed } = this.#options;
    return openCatalogue(catalogue, {
      process,
      time,
      clock,
      latencyMs,
      trace,
      fault,
      store,
      sent: () => this.#sent(process),
      committed: (table) => {
        if (place === this.#place) committed(table);
      },
      closing: this.#closing,
    });
  }

  /** Nobody asks it for anything any more. */
  close(): void {
    for (const close of this.#closing) close();
  }

  #sent(process: SimProcess): void {
    const death = this.#deaths.get(process);
    if (death === undefined || --death.left > 0) return;
    this.#deaths.delete(process);
    death.die();
  }

  #store(process: SimProcess, place: Place): ObjectStore {
    const { objects } = place;
    const { time, latencyMs, trace, fault, committed } = this.#options;
    const through = <T>(
      name: string,
      key: string,
      run: (half: boolean) => Promise<Result<T>>,
    ): Promise<Result<T>> => {
      const { promise, resolve } = Promise.withResolvers<Result<T>>();
      if (!process.alive) return promise;
      const what = fault(name, key);
      const arrives = time.now + process.draw(latencyMs);
      const answer = (result: Result<T>): void => {
        process.at(time.now + process.draw(latencyMs), () => resolve(result));
      };
      const broken = (reason: string): void =>
        answer(err(new LakeSyncError("STORAGE_ERROR", `Cannot ${name} "${key}": ${reason}`)));
      const arrive = async (): Promise<void> => {
        const result = await run(what === "half");
        trace.note(process.name, `lake ${name} ${key}`, result.ok ? "" : result.error.code);
        if (!result.ok && result.error.code === "CONFLICT") trace.count("lake 412");
        if (name === "put" && key.includes("/deletes-")) trace.count("lake file of gone rows");
        const version = /^([^/]+)\/metadata\/v\d+\.metadata\.json$/.exec(key);
        if (name === "put" && result.ok && version !== null && place === this.#place) {
          committed(version[1]!);
        }
        if (what === "lose-answer" || what === "half") broken("500, the answer was lost");
        else if (what !== "linger") answer(result);
      };
      if (what === "unavailable") time.at(arrives, () => broken("503"));
      else time.at(arrives + lateness(what, process), arrive);
      if (what === "linger") time.at(arrives, () => broken("the connection was reset"));
      this.#sent(process);
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
      delete: (keys) =>
        through(
          "delete",
          keys.join(" "),
          (half) => objects.delete(half ? keys.slice(0, keys.length >> 1) : keys),
        ),
    };
  }
}

/** How much later than usual something is done. */
export function lateness(what: LakeFault, process: SimProcess): number {
  if (what === "linger") return 2_000 + process.draw(20_000);
  return what === "slow" ? 5_000 + process.draw(20_000) : 0;
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
