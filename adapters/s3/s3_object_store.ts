import { createHash } from "node:crypto";
import {
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
  type Random,
  type Result,
  type Scheduler,
  systemRandom,
  toLakeSyncError,
} from "@lakesync/core";
import type { S3CredentialsProvider } from "./credentials.ts";
import { putObject } from "./_put.ts";
import { S3Requester, unexpected } from "./_request.ts";
import { escapeXml, nodes, parseXml, textOf } from "./_xml.ts";

/** Options of {@linkcode s3ObjectStore}. */
export interface S3ObjectStoreOptions {
  /** The bucket. */
  readonly bucket: string;
  /** What requests are signed with. */
  readonly credentials: S3CredentialsProvider;
  /**
   * What keys begin with, without a slash at either end.
   *
   * @default {""}
   */
  readonly prefix?: string;
  /**
   * The region: `auto` for R2.
   *
   * @default {"us-east-1"}
   */
  readonly region?: string;
  /**
   * Where it is: `https://ACCOUNT.r2.cloudflarestorage.com`, `http://127.0.0.1:9000`.
   *
   * @default {undefined} AWS's endpoint of the region
   */
  readonly endpoint?: string;
  /**
   * Whether the bucket is the first part of the path instead of the host's name.
   *
   * @default {endpoint !== undefined}
   */
  readonly pathStyle?: boolean;
  /**
   * Bytes of a part: larger objects are put in parts. At least 5 MiB, which S3 demands.
   *
   * @default {8_388_608}
   */
  readonly partBytes?: number;
  /**
   * How often a request is tried where the failure may pass.
   *
   * @default {6}
   */
  readonly attempts?: number;
  /**
   * How long a try may take, in ms; what an 8 MiB part needs on a slow line is well within it.
   *
   * @default {120_000}
   */
  readonly timeoutMs?: number;
  /**
   * Physical time, for signatures.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Chance, for backoff and for telling puts apart.
   *
   * @default {systemRandom}
   */
  readonly random?: Random;
  /**
   * Waiting, for backoff.
   *
   * @default {systemScheduler}
   */
  readonly scheduler?: Scheduler;
}

/** An object store in an S3 bucket. */
export interface S3ObjectStore extends ObjectStore {
  /**
   * Finds out whether the bucket keeps the promise that a lake without a catalogue rests on: of
   * several puts with `ifAbsent` one succeeds. It puts and removes one small object.
   *
   * @returns `VALIDATION_ERROR` where it does not keep it, `STORAGE_ERROR` where it cannot be asked.
   */
  probe(): Promise<Result<void>>;
}

const MIB = 2 ** 20;

/**
 * Objects in a bucket of S3 or of what speaks its protocol. A put is one request, or one multipart
 * upload where the body is larger than a part: one part is in memory at a time. Failures that may
 * pass are tried again; a put with `ifAbsent` whose answer was lost finds out whether it was it that
 * won.
 *
 * @param options The bucket and the credentials.
 * @returns The store. An ill-formed key or range rejects with `TypeError`.
 *
 * @example A bucket at R2
 * ```ts
 * import { s3ObjectStore } from "@lakesync/adapter-s3";
 * import { assertEquals } from "@std/assert";
 *
 * const store = s3ObjectStore({
 *   bucket: "lake",
 *   prefix: "prod",
 *   region: "auto",
 *   endpoint: "https://account.r2.cloudflarestorage.com",
 *   credentials: { accessKeyId: "id", secretAccessKey: "secret" },
 * });
 * assertEquals(store.location, "s3://lake/prod");
 * ```
 */
export function s3ObjectStore(options: S3ObjectStoreOptions): S3ObjectStore {
  const { bucket, prefix = "", region = "us-east-1", endpoint, attempts = 6 } = options;
  const { timeoutMs = 120_000 } = options;
  const { partBytes = 8 * MIB, random = systemRandom } = options;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw new TypeError(`Cannot use "${bucket}" as a bucket: that is no bucket's name`);
  }
  if (prefix !== "") checkObjectKey(prefix);
  if (!(Number.isSafeInteger(partBytes) && partBytes >= 5 * MIB)) {
    throw new TypeError(`Cannot put parts of ${partBytes} bytes: S3 takes them from 5 MiB on`);
  }
  const requester = new S3Requester({
    base: baseUrl(bucket, { endpoint, region, pathStyle: options.pathStyle }),
    region,
    credentials: options.credentials,
    attempts,
    timeoutMs,
    random,
    ...(options.clock !== undefined && { clock: options.clock }),
    ...(options.scheduler !== undefined && { scheduler: options.scheduler }),
  });
  const root = prefix === "" ? "" : `${prefix}/`;

  const store: S3ObjectStore = {
    location: `s3://${bucket}${prefix === "" ? "" : `/${prefix}`}`,

    async put(key, body, { ifAbsent = false, signal } = {}) {
      checkObjectKey(key);
      return await attempt(() =>
        putObject(requester, { key: root + key, body, ifAbsent, partBytes, random, signal })
      );
    },

    async get(key, { start = 0, end = Infinity, signal } = {}) {
      checkObjectKey(key);
      checkByteRange(start, end);
      return await attempt(async () => {
        // S3 knows no empty range: one byte is asked for, to learn whether there is an object.
        const last = Math.max(end - 1, start);
        const ranged = start > 0 || end !== Infinity;
        const answer = await requester.send({
          method: "GET",
          key: root + key,
          ...(ranged &&
            { headers: { range: `bytes=${start}-${last === Infinity ? "" : last}` } }),
          signal,
        });
        if (answer.status === 404) return notFound(key);
        if (answer.status === 416) return ok(new Uint8Array());
        // A range of an empty object, or a server that knows no ranges.
        if (answer.status === 200) return ok(answer.body.subarray(start, end));
        if (answer.status !== 206) throw unexpected(answer, `the get of "${root}${key}"`);
        return ok(end === start ? new Uint8Array() : answer.body);
      });
    },

    async head(key) {
      checkObjectKey(key);
      return await attempt(async () => {
        const answer = await requester.send({ method: "HEAD", key: root + key });
        if (answer.status === 404) return ok(undefined);
        if (answer.status !== 200) throw unexpected(answer, `the head of "${root}${key}"`);
        return ok({
          key,
          size: Number(answer.headers.get("content-length")),
          modified: Date.parse(answer.headers.get("last-modified") ?? ""),
        });
      });
    },

    async list(start, { after, limit = 1000, signal } = {}) {
      checkObjectPrefix(start);
      checkListLimit(limit);
      return await attempt(async () => {
        const objects: ObjectInfo[] = [];
        let from = after;
        for (;;) {
          const page = await listPage({ prefix: start, after: from, most: limit - objects.length });
          objects.push(...page.objects);
          from = objects.at(-1)?.key;
          if (!page.more) return ok({ objects, next: undefined });
          if (objects.length >= limit) return ok({ objects, next: from });
        }
      });

      async function listPage(
        page: { prefix: string; after: string | undefined; most: number },
      ): Promise<{ objects: ObjectInfo[]; more: boolean }> {
        const answer = await requester.send({
          method: "GET",
          key: "",
          query: {
            "list-type": "2",
            "max-keys": String(Math.min(page.most, 1000)),
            prefix: root + page.prefix,
            ...(page.after !== undefined && { "start-after": root + page.after }),
          },
          signal,
        });
        const listing = answer.status === 200
          ? parseXml(new TextDecoder().decode(answer.body), "ListBucketResult")
          : undefined;
        if (listing === undefined) {
          throw unexpected(answer, `the listing of "${root}${page.prefix}"`);
        }
        const objects = nodes(listing, "Contents").map((object) => ({
          key: (textOf(object, "Key") ?? "").slice(root.length),
          size: Number(textOf(object, "Size")),
          modified: Date.parse(textOf(object, "LastModified") ?? ""),
        }));
        return { objects, more: textOf(listing, "IsTruncated") === "true" && objects.length > 0 };
      }
    },

    async delete(keys) {
      for (const key of keys) checkObjectKey(key);
      return await attempt(async () => {
        for (let i = 0; i < keys.length; i += 1000) {
          await deleteSome(requester, keys.slice(i, i + 1000).map((key) => root + key));
        }
        return ok(undefined);
      });
    },

    async probe() {
      const key = `_probe/${random.uuid()}`;
      const first = await store.put(key, new Uint8Array([1]), { ifAbsent: true });
      const second = first.ok
        ? await store.put(key, new Uint8Array([2]), { ifAbsent: true })
        : undefined;
      const removed = await store.delete([key]);
      if (!first.ok) return first;
      if (second?.ok === true) {
        return err(
          new LakeSyncError(
            "VALIDATION_ERROR",
            `The bucket at ${store.location} does not know If-None-Match: two writers would overwrite each other's commits, take a store that does or a catalogue`,
          ),
        );
      }
      return second !== undefined && second.error.code !== "CONFLICT" ? second : removed;
    },
  };
  return store;
}

async function deleteSome(requester: S3Requester, keys: readonly string[]): Promise<void> {
  const objects = keys.map((key) => `<Object><Key>${escapeXml(key)}</Key></Object>`).join("");
  const body = new TextEncoder().encode(`<Delete><Quiet>true</Quiet>${objects}</Delete>`);
  const answer = await requester.send({
    method: "POST",
    key: "",
    query: { delete: "" },
    headers: {
      "content-type": "application/xml",
      "content-md5": createHash("md5").update(body).digest("base64"),
    },
    body,
  });
  const result = answer.status === 200
    ? parseXml(new TextDecoder().decode(answer.body), "DeleteResult")
    : undefined;
  if (result === undefined) throw unexpected(answer, `the removal of ${keys.length} objects`);
  const [failed] = nodes(result, "Error");
  if (failed === undefined) return;
  throw new LakeSyncError(
    "STORAGE_ERROR",
    `S3 could not remove "${textOf(failed, "Key")}": ${textOf(failed, "Code")} ${
      textOf(failed, "Message") ?? ""
    }`,
  );
}

function baseUrl(
  bucket: string,
  options: { endpoint: string | undefined; region: string; pathStyle: boolean | undefined },
): URL {
  const { endpoint, region } = options;
  if (endpoint !== undefined && !URL.canParse(endpoint)) {
    throw new TypeError(`Cannot use "${endpoint}" as an endpoint: it is no URL`);
  }
  const url = new URL(endpoint ?? `https://s3.${region}.amazonaws.com`);
  if (options.pathStyle ?? endpoint !== undefined) {
    url.pathname = `${url.pathname.replace(/\/$/, "")}/${bucket}/`;
  } else {
    url.hostname = `${bucket}.${url.hostname}`;
  }
  return url;
}

function notFound(key: string): Result<never> {
  return err(new LakeSyncError("NOT_FOUND", `Cannot get "${key}": there is no such object`));
}

async function attempt<T>(run: () => Promise<Result<T>>): Promise<Result<T>> {
  try {
    return await run();
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "STORAGE_ERROR"));
  }
}
