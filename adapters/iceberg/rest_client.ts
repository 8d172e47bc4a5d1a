import {
  type Clock,
  LakeSyncError,
  type Random,
  type Scheduler,
  toLakeSyncError,
} from "@lakesync/core";
import { type Json64, parseJson64, stringifyJson64 } from "./json64.ts";
import type { Authoriser } from "./rest_auth.ts";

/** One request. */
export interface RestRequest {
  readonly method: "GET" | "POST" | "DELETE" | "HEAD";
  /** Below the catalogue's URL, encoded: `v1/config`. */
  readonly path: string;
  readonly query?: { readonly [name: string]: string };
  readonly headers?: { readonly [name: string]: string };
  readonly body?: Json64;
  /**
   * Whether an answer that leaves open what was done is given back instead of asking again.
   *
   * @default {false}
   */
  readonly once?: boolean;
}

/** An answer. */
export interface RestAnswer {
  /** Its status; 0 where none came. */
  readonly status: number;
  readonly headers: Headers;
  /** The body, where it is JSON. */
  readonly body: Json64 | undefined;
  /** What came instead of an answer, with status 0. */
  readonly cause?: unknown;
}

/** What a client talks with. */
export interface RestClientOptions {
  /** The catalogue's URL, without a slash at its end. */
  readonly url: string;
  readonly authoriser: Authoriser;
  /** How often a request is tried. */
  readonly attempts: number;
  /** How long an answer is waited for. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly scheduler: Scheduler;
}

const FIRST_DELAY_MS = 100;
const MOST_DELAY_MS = 5_000;

/**
 * Sends requests to a REST catalogue. What may pass (no answer, 408, 429, 5xx) is tried again with
 * exponential backoff and full jitter; an authorisation that was refused is renewed once.
 */
export class RestClient {
  /** Where it asks: a catalogue's configuration may name another place. */
  url: string;
  readonly #options: RestClientOptions;

  constructor(options: RestClientOptions) {
    this.url = options.url;
    this.#options = options;
  }

  /** The answer, of any status. Throws a `LakeSyncError` where authorisation cannot be had. */
  async send(request: RestRequest): Promise<RestAnswer> {
    let renewed = false;
    for (let attempt = 1;; attempt++) {
      const answer = await this.#try(request);
      const { status } = answer;
      if ((status === 401 || status === 419) && !renewed && this.#options.authoriser.refused()) {
        renewed = true;
        continue;
      }
      // Of 429 it is known that nothing was done.
      const passes = status === 429 || request.once !== true && isOpen(status);
      if (!passes || attempt >= this.#options.attempts) return answer;
      await this.wait(attempt, answer);
    }
  }

  /** Waits before one more try: as long as the answer says, else longer each time. */
  async wait(attempt: number, answer?: RestAnswer): Promise<void> {
    const { random, scheduler } = this.#options;
    const asked = retryAfterMs(answer?.headers);
    const most = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MOST_DELAY_MS);
    const [high = 0, low = 0] = random.bytes(2);
    await scheduler.delay(asked ?? most * ((high << 8 | low) / 0x10000));
  }

  async #try(request: RestRequest): Promise<RestAnswer> {
    const { authoriser, scheduler, timeoutMs } = this.#options;
    const url = new URL(`${this.url}/${request.path}`);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      url.searchParams.set(name, value);
    }
    const body = request.body === undefined ? undefined : stringifyJson64(request.body);
    const answered = new AbortController();
    const late = new AbortController();
    scheduler.delay(timeoutMs, { signal: answered.signal }).then(() => late.abort());
    try {
      const plain = {
        method: request.method,
        url: url.href,
        headers: {
          accept: "application/json",
          ...(body !== undefined && { "content-type": "application/json" }),
          ...request.headers,
        },
        ...(body !== undefined && { body }),
      };
      const response = await fetch(url, {
        method: request.method,
        headers: await authoriser.headers(plain),
        ...(body !== undefined && { body }),
        signal: late.signal,
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, body: jsonOf(text) };
    } catch (thrown) {
      if (thrown instanceof LakeSyncError) throw thrown;
      const cause = late.signal.aborted
        ? new Error(`no answer came in ${timeoutMs} ms`, { cause: thrown })
        : thrown;
      return { status: 0, headers: new Headers(), body: undefined, cause };
    } finally {
      answered.abort();
    }
  }
}

/** Whether an answer of this status leaves open what was done. */
export function isOpen(status: number): boolean {
  return status === 0 || status === 408 || status >= 500;
}

/** The error of an answer that is none of the expected ones. */
export function refusal({ status, body, cause }: RestAnswer, what: string): LakeSyncError {
  if (status === 0) {
    const reason = toLakeSyncError(cause, "STORAGE_ERROR").message;
    return new LakeSyncError(
      "STORAGE_ERROR",
      `The catalogue did not answer to ${what}: ${reason}`,
      {
        cause,
      },
    );
  }
  const error = member(body, "error");
  const reason = [member(error, "type"), member(error, "message")]
    .filter((part) => typeof part === "string").join(": ");
  const denied = status === 401 || status === 403 || status === 419;
  return new LakeSyncError(
    "STORAGE_ERROR",
    `The catalogue refused ${what}: ${status} ${reason || "(no reason given)"}${
      denied ? ", check its credentials and what they may do" : ""
    }`,
  );
}

/** A member of a JSON object, or undefined. */
export function member(value: Json64 | undefined, name: string): Json64 | undefined {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as { readonly [name: string]: Json64 })[name];
}

/** The texts in a JSON object, by name. */
export function textsOf(value: Json64 | undefined): Map<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return new Map();
  return new Map(
    Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
  );
}

function jsonOf(text: string): Json64 | undefined {
  try {
    return parseJson64(text);
  } catch {
    return undefined;
  }
}

function retryAfterMs(headers: Headers | undefined): number | undefined {
  const seconds = Number(headers?.get("retry-after") ?? NaN);
  return seconds >= 0 && seconds <= 60 ? seconds * 1000 : undefined;
}
