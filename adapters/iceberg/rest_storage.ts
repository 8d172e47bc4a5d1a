import {
  type Clock,
  err,
  LakeSyncError,
  type ObjectInfo,
  type ObjectStore,
  ok,
  type Result,
} from "@lakesync/core";
import type { Json64 } from "./json64.ts";
import type { AwsKeys } from "./rest_auth.ts";
import { member, textsOf } from "./rest_client.ts";

/** Where a table of a catalogue has its files. */
export interface TablePlace {
  /** The URL that the table's files are below: `s3://bucket/lake/todos_changes`, `file:///lake/…`. */
  readonly location: string;
  /** What the catalogue says of the storage: `s3.endpoint`, `s3.path-style-access`, `client.region`. */
  readonly properties: ReadonlyMap<string, string>;
  /**
   * Keys that the catalogue lends for these files, asked for again before they expire. Rejects with a
   * `LakeSyncError`. Undefined where the catalogue lends none.
   */
  readonly credentials: (() => Promise<AwsKeys>) | undefined;
}

/** The keys for a location, and until when they hold. */
export interface LentKeys {
  readonly keys: AwsKeys;
  /** Ms since 1970. */
  readonly until: number;
}

/** How long lent keys are taken to hold that do not say: as long as the shortest of AWS do. */
const DEFAULT_LIFE_MS = 15 * 60_000;
/** So long before they expire others are asked for. */
const RENEW_MS = 3 * 60_000;

/**
 * What an answer (LoadTableResult, or one about credentials) says of the storage at a location: the
 * credentials whose prefix fits best go before the rest.
 */
export function storageProperties(
  body: Json64 | undefined,
  location: string,
): ReadonlyMap<string, string> {
  const listed = member(body, "storage-credentials");
  let best: Json64 | undefined;
  let length = -1;
  for (const one of Array.isArray(listed) ? listed as readonly Json64[] : []) {
    const prefix = member(one, "prefix");
    if (typeof prefix !== "string" || !location.startsWith(prefix)) continue;
    if (prefix.length > length) [best, length] = [one, prefix.length];
  }
  return new Map([...textsOf(member(body, "config")), ...textsOf(member(best, "config"))]);
}

/** The keys among a storage's properties, where there are any. */
export function lentKeys(
  properties: ReadonlyMap<string, string>,
  now: number,
): LentKeys | undefined {
  const accessKeyId = properties.get("s3.access-key-id");
  const secretAccessKey = properties.get("s3.secret-access-key");
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  const sessionToken = properties.get("s3.session-token");
  const until = Number(properties.get("s3.session-token-expires-at-ms") ?? NaN);
  return {
    keys: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) },
    until: Number.isFinite(until) ? until : now + DEFAULT_LIFE_MS,
  };
}

/** Gives lent keys and renews them in time; several who ask at once share one renewal. */
export function renewing(
  first: LentKeys,
  { clock, renew }: { clock: Clock; renew: () => Promise<LentKeys> },
): () => Promise<AwsKeys> {
  let held = first;
  let asking: Promise<LentKeys> | undefined;
  return async () => {
    if (clock.now() < held.until - RENEW_MS) return held.keys;
    asking ??= renew().finally(() => asking = undefined);
    held = await asking;
    return held.keys;
  };
}

/**
 * The objects of many tables as one store: a key's first part names the table, the rest is below its
 * location.
 *
 * @param storeOf A table's own store; undefined where there is no such table.
 */
export function tableStores(
  location: string,
  storeOf: (table: string) => Promise<Result<ObjectStore | undefined>>,
): ObjectStore {
  const at = async <T>(
    key: string,
    run: (store: ObjectStore, rest: string, table: string) => Promise<Result<T>>,
    missing: () => Result<T> = () => noTable(key),
  ): Promise<Result<T>> => {
    const slash = key.indexOf("/");
    if (slash < 0) return missing();
    const store = await storeOf(key.slice(0, slash));
    if (!store.ok) return store;
    if (store.value === undefined) return missing();
    return await run(store.value, key.slice(slash + 1), key.slice(0, slash));
  };
  return {
    location,
    put: (key, body, options) => at(key, (store, rest) => store.put(rest, body, options)),
    get: (key, options) => at(key, (store, rest) => store.get(rest, options)),
    head: (key) =>
      at<ObjectInfo | undefined>(key, async (store, rest) => {
        const there = await store.head(rest);
        return there.ok && there.value !== undefined ? ok({ ...there.value, key }) : there;
      }, () => ok(undefined)),
    list: (prefix, options = {}) =>
      at(prefix, async (store, rest, table) => {
        const { after, ...others } = options;
        const own = after?.startsWith(`${table}/`) ? after.slice(table.length + 1) : undefined;
        if (after !== undefined && own === undefined && after > prefix) {
          return ok({ objects: [], next: undefined });
        }
        const page = await store.list(rest, {
          ...others,
          ...(own !== undefined && { after: own }),
        });
        if (!page.ok) return page;
        const { objects, next } = page.value;
        return ok({
          objects: objects.map((object) => ({ ...object, key: `${table}/${object.key}` })),
          next: next === undefined ? undefined : `${table}/${next}`,
        });
      }, () => ok({ objects: [], next: undefined })),
    async delete(keys) {
      const byTable = Map.groupBy(keys, (key) => key.slice(0, key.indexOf("/") + 1));
      for (const [folder, some] of byTable) {
        const gone = await at<void>(
          folder,
          (store) => store.delete(some.map((key) => key.slice(folder.length))),
          () => ok(undefined),
        );
        if (!gone.ok) return gone;
      }
      return ok(undefined);
    },
  };
}

function noTable(key: string): Result<never> {
  return err(
    new LakeSyncError("NOT_FOUND", `Cannot find "${key}": the catalogue has no table for it`),
  );
}
