import { type Catalogue, type Json64, restCatalogue } from "@lakesync/adapter-iceberg";
import { type Clock, type ObjectStore, ok, type Result, type Scheduler } from "@lakesync/core";
import { Prng } from "../prng.ts";
import type { SimProcess } from "./process.ts";
import type { CatalogueAnswer, CatalogueRequest, SharedCatalogue } from "./shared_catalogue.ts";
import { lateness, type SharedLakeOptions } from "./shared_lake.ts";
import { serveAt } from "./simulated_fetch.ts";

/** What a process talks to a catalogue with. */
export interface CatalogueNetworkOptions
  extends
    Pick<SharedLakeOptions, "time" | "clock" | "latencyMs" | "trace" | "fault" | "committed"> {
  readonly process: SimProcess;
  /** Where the tables' files are. */
  readonly store: ObjectStore;
  /** Called when a request was sent. */
  readonly sent: () => void;
  /** What ends it goes in here. */
  readonly closing: (() => void)[];
}

/** The product's client of a catalogue, in a process, over a network on which things go wrong. */
export function openCatalogue(
  catalogue: SharedCatalogue,
  options: CatalogueNetworkOptions,
): Catalogue {
  const { process, time, clock, latencyMs, trace, fault, store, committed } = options;
  const { url, close } = serveAt(async (raw) => {
    const request = await requestOf(raw);
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    if (!process.alive) return await promise;
    raw.signal.addEventListener("abort", () => reject(raw.signal.reason));
    const table = catalogue.tableOf(request);
    const what = fault(table === undefined ? "ask" : "commit", table ?? request.path);
    const arrives = time.now + process.draw(latencyMs);
    const later = (run: () => void): void => {
      process.at(time.now + process.draw(latencyMs), run);
    };
    const reset = (): void => later(() => reject(new TypeError("the connection was reset")));
    const arrive = (): void => {
      const answer = catalogue.answer(request, clock.now());
      const { status } = answer;
      trace.note(process.name, `catalogue ${request.method} ${request.path}`, String(status));
      if (status === 409) trace.count("catalogue 409");
      if (table !== undefined && status === 200) committed(table);
      if (what === "lose-answer") {
        if (process.chance(0.5)) reset();
        else later(() => resolve(responseOf({ status: 504, body: {} })));
      } else if (what !== "linger") later(() => resolve(responseOf(answer)));
    };
    if (what === "unavailable") {
      time.at(arrives, () => later(() => resolve(responseOf({ status: 503, body: {} }))));
    } else time.at(arrives + lateness(what, process), arrive);
    if (what === "linger") time.at(arrives, reset);
    options.sent();
    return await promise;
  });
  options.closing.push(close);
  const { random, scheduler } = process;
  return clientOf(url, { store, clock: process.clock, random, scheduler });
}

/** A client for whom no time passes. */
export function peekCatalogue(
  catalogue: SharedCatalogue,
  { objects, clock, closing }: { objects: ObjectStore; clock: Clock; closing: (() => void)[] },
): Catalogue {
  const { url, close } = serveAt(async (raw) =>
    responseOf(catalogue.answer(await requestOf(raw), clock.now()))
  );
  closing.push(close);
  const scheduler: Scheduler = { delay: () => new Promise(() => {}) };
  return clientOf(url, { store: objects, clock, random: new Prng(1), scheduler });
}

function clientOf(
  url: string,
  { store, ...ports }: {
    store: ObjectStore;
    clock: Clock;
    random: SimProcess["random"];
    scheduler: Scheduler;
  },
): Catalogue {
  return restCatalogue({
    url,
    namespace: ["lake"],
    openStore: ({ location }) => below(store, location.slice(store.location.length + 1)),
    ...ports,
  });
}

/** The objects of a folder as a store of its own. */
function below(store: ObjectStore, folder: string): ObjectStore {
  const prefix = `${folder}/`;
  const own = (key: string): string => key.slice(prefix.length);
  return {
    location: `${store.location}/${folder}`,
    put: (key, body, options) => store.put(prefix + key, body, options),
    get: (key, options) => store.get(prefix + key, options),
    head: async (key) => {
      const found = await store.head(prefix + key);
      return found.ok && found.value !== undefined ? ok({ ...found.value, key }) : found;
    },
    list: async (start, { after, ...options } = {}) => {
      const page = await store.list(prefix + start, {
        ...options,
        ...(after !== undefined && { after: prefix + after }),
      });
      if (!page.ok) return page as Result<never>;
      const { objects, next } = page.value;
      return ok({
        objects: objects.map((object) => ({ ...object, key: own(object.key) })),
        next: next === undefined ? undefined : own(next),
      });
    },
    delete: (keys) => store.delete(keys.map((key) => prefix + key)),
  };
}

async function requestOf(raw: Request): Promise<CatalogueRequest> {
  const text = await raw.text();
  return {
    method: raw.method,
    path: new URL(raw.url).pathname.replace(/^\/\d+/, ""),
    key: raw.headers.get("idempotency-key"),
    body: text === "" ? undefined : parseExact(text),
  };
}

function responseOf({ status, body }: CatalogueAnswer): Response {
  return new Response(textExactly(body), { status });
}

// Snapshot ids have 63 bits, of which `JSON.parse` alone keeps 53.
const exact = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): Json64;
  rawJSON(text: string): object;
};

function parseExact(text: string): Json64 {
  return exact.parse(
    text,
    (_, value, { source }) =>
      typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? "")
        ? BigInt(source!)
        : value,
  );
}

function textExactly(value: Json64): string {
  return JSON.stringify(
    value,
    (_, item: unknown) => typeof item === "bigint" ? exact.rawJSON(String(item)) : item,
  );
}
