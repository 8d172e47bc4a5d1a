import { createHash } from "node:crypto";
import {
  abortedError,
  type Clock,
  LakeSyncError,
  type Random,
  type Scheduler,
  systemClock,
  systemRandom,
  systemScheduler,
} from "@lakesync/core";
import { AwsV4Signer } from "aws4fetch";
import type { S3CredentialsProvider } from "./credentials.ts";
import { parseXml, textOf } from "./_xml.ts";

/** Where the bucket is, and by whose leave. */
export interface S3Bucket {
  /** The URL that keys are appended to, with a slash at its end. */
  readonly base: URL;
  /** The region that requests are signed for. */
  readonly region: string;
  /** What they are signed with. */
  readonly credentials: S3CredentialsProvider;
  /** How often a request is tried. */
  readonly attempts: number;
  /** How long a try may take, in ms. */
  readonly timeoutMs: number;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly scheduler?: Scheduler;
}

/** One request. */
export interface S3Request {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** The object's key within the bucket; `""` for the bucket itself. */
  readonly key: string;
  readonly query?: { readonly [name: string]: string };
  readonly headers?: { readonly [name: string]: string };
  readonly body?: Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal | undefined;
}

/** An answer, read whole. */
export interface S3Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Whether an earlier try of the same request may have been carried out. */
  readonly repeated: boolean;
  /** The bucket's URL. */
  readonly bucket: string;
}

const FIRST_DELAY_MS = 100;
const MOST_DELAY_MS = 5_000;

/**
 * Sends signed requests to a bucket. What may pass (no connection, 429, 5xx, an answer that broke
 * off) is tried again, with exponential backoff and full jitter.
 */
export class S3Requester {
  readonly #bucket: S3Bucket;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #scheduler: Scheduler;

  constructor(bucket: S3Bucket) {
    this.#bucket = bucket;
    this.#clock = bucket.clock ?? systemClock;
    this.#random = bucket.random ?? systemRandom;
    this.#scheduler = bucket.scheduler ?? systemScheduler;
  }

  /** The answer of any status but those that pass. Throws a `LakeSyncError`. */
  async send(request: S3Request): Promise<S3Answer> {
    const what = `the ${request.method} of "${request.key}"`;
    let repeated = false;
    let last: unknown;
    for (let attempt = 1;; attempt++) {
      if (request.signal?.aborted) throw abortedError(what, request.signal);
      let wait: number | undefined;
      try {
        const answer = await this.#try(request);
        if (!mayPass(answer.status)) return { ...answer, repeated, bucket: this.#bucket.base.href };
        wait = retryAfterMs(answer.headers);
        last = new Error(`${answer.status} ${describe(answer)}`);
      } catch (thrown) {
        if (request.signal?.aborted) throw abortedError(what, request.signal);
        if (thrown instanceof LakeSyncError) throw thrown;
        last = thrown;
      }
      repeated = true;
      if (attempt >= this.#bucket.attempts) {
        const reason = last instanceof Error ? last.message : String(last);
        throw new LakeSyncError(
          "STORAGE_ERROR",
          `Cannot reach ${this.#bucket.base.origin} for ${what}, tried ${attempt} times: ${reason}`,
          { cause: last },
        );
      }
      await this.#wait(wait ?? this.#backoff(attempt), request.signal);
    }
  }

  /**
   * Waits before a request is sent once more whose answer said that another one was in its way.
   * Throws where it was sent often enough.
   */
  async waitOrGiveUp(
    attempt: number,
    answer: S3Answer,
    { what, signal }: { readonly what: string; readonly signal: AbortSignal | undefined },
  ): Promise<void> {
    if (attempt >= this.#bucket.attempts) throw unexpected(answer, what);
    await this.#wait(this.#backoff(attempt), signal);
  }

  #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#scheduler.delay(ms, signal === undefined ? {} : { signal });
  }

  #backoff(attempt: number): number {
    const most = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MOST_DELAY_MS);
    const [high = 0, low = 0] = this.#random.bytes(2);
    return most * ((high << 8 | low) / 0x10000);
  }

  async #try(request: S3Request): Promise<Omit<S3Answer, "repeated" | "bucket">> {
    const { method, key, query = {}, headers, body, signal } = request;
    const { base, region, credentials } = this.#bucket;
    const url = new URL(base);
    // A key may hold "%", which in a path would begin an escape.
    url.pathname += key.replaceAll("%", "%25");
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const signed = await new AwsV4Signer({
      ...(typeof credentials === "function" ? await credentials() : credentials),
      method,
      url: url.href,
      headers: {
        ...headers,
        // Signed, so that S3 refuses a body that was damaged on its way.
        "x-amz-content-sha256": createHash("sha256").update(body ?? "").digest("hex"),
      },
      ...(body !== undefined && { body }),
      service: "s3",
      region,
      datetime: new Date(this.#clock.now()).toISOString().replace(/[:-]|\.\d{3}/g, ""),
    }).sign();
    const { response, bytes } = await this.#fetch(signed, { method, body, signal });
    const declared = response.headers.get("content-length");
    const packed = response.headers.get("content-encoding") !== null;
    if (method !== "HEAD" && !packed && declared !== null && Number(declared) !== bytes.length) {
      throw new Error(`the answer broke off after ${bytes.length} of ${declared} bytes`);
    }
    return { status: response.status, headers: response.headers, body: bytes };
  }

  /** The answer, read whole, unless that takes too long. */
  async #fetch(
    { url, headers }: { readonly url: URL; readonly headers: Headers },
    { method, body, signal }: {
      readonly method: string;
      readonly body: Uint8Array<ArrayBuffer> | undefined;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<{ response: Response; bytes: Uint8Array<ArrayBuffer> }> {
    const { timeoutMs } = this.#bucket;
    const answered = new AbortController();
    const late = new AbortController();
    this.#scheduler.delay(timeoutMs, { signal: answered.signal }).then(() => late.abort());
    try {
      const response = await fetch(url, {
        method,
        headers,
        ...(body !== undefined && { body }),
        signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
        redirect: "manual",
      });
      return { response, bytes: new Uint8Array(await response.arrayBuffer()) };
    } catch (cause) {
      if (!late.signal.aborted) throw cause;
      throw new Error(`no answer came in ${timeoutMs} ms`, { cause });
    } finally {
      answered.abort();
    }
  }
}

/** The error of an answer that is none of the expected ones. */
export function unexpected(answer: S3Answer, what: string): LakeSyncError {
  const hint = answer.status === 401 || answer.status === 403
    ? ", check the credentials and what they may do"
    : errorCode(answer) === "NoSuchBucket"
    ? ", make the bucket or correct its name"
    : answer.status === 301 || answer.status === 307 || answer.status === 400
    ? ", check the endpoint, the region and pathStyle"
    : "";
  return new LakeSyncError(
    "STORAGE_ERROR",
    `S3 at ${answer.bucket} refused ${what}: ${answer.status} ${describe(answer)}${hint}`,
  );
}

/** The code that an error answer names. */
export function errorCode(answer: Pick<S3Answer, "body">): string | undefined {
  const error = parseXml(new TextDecoder().decode(answer.body.subarray(0, 8_192)), "Error");
  return error && textOf(error, "Code");
}

function describe(answer: Pick<S3Answer, "body">): string {
  const error = parseXml(new TextDecoder().decode(answer.body.subarray(0, 8_192)), "Error");
  return error === undefined
    ? "(no reason given)"
    : `${textOf(error, "Code") ?? ""} ${textOf(error, "Message") ?? ""}`.trim().replace(/\.$/, "");
}

function mayPass(status: number): boolean {
  // What is not implemented will not be the next time either.
  return status === 408 || status === 429 || status >= 500 && status !== 501;
}

function retryAfterMs(headers: Headers): number | undefined {
  const seconds = Number(headers.get("retry-after") ?? NaN);
  return seconds >= 0 && seconds <= 60 ? seconds * 1000 : undefined;
}
