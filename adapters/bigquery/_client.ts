import {
  abortedError,
  type JsonValue,
  LakeSyncError,
  type Random,
  type Scheduler,
  systemClock,
  systemRandom,
  systemScheduler,
} from "@lakesync/core";
import type { BigQueryOptions, DatasetPlace } from "./options.ts";
import { type Fault, faultError, isPassing } from "./_error.ts";
import { TokenSource } from "./_token.ts";

/** One request. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Below `/bigquery/v2/projects/PROJECT/`, or a whole URL. */
  readonly path: string;
  readonly query?: { readonly [name: string]: string };
  readonly headers?: { readonly [name: string]: string };
  /** JSON, or bytes as they are. */
  readonly body?: JsonValue | Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether an answer that did not come, or that may pass, is given back: its status is 0, or its own.
   *
   * @default {false} it is asked again
   */
  readonly once?: boolean;
}

/** An answer, read whole. */
export interface ApiAnswer {
  /** Its status; 0 where none came. */
  readonly status: number;
  readonly headers: Headers;
  readonly body: JsonValue | undefined;
}

const FIRST_DELAY_MS = 200;
const MOST_DELAY_MS = 20_000;

/** Asks BigQuery's REST API. What may pass is asked again, with exponential backoff and jitter. */
export class ApiClient {
  /** Names the dataset in messages. */
  readonly name: string;
  readonly place: DatasetPlace;
  /** How often something is tried. */
  readonly attempts: number;
  readonly random: Random;
  readonly #requestMs: number;
  readonly #scheduler: Scheduler;
  readonly #tokens: TokenSource;

  constructor(place: DatasetPlace, options: BigQueryOptions) {
    const { credentials, attempts = 6, requestMs = 60_000, clock = systemClock } = options;
    this.place = place;
    this.name = `bigquery://${place.project}/${place.dataset}`;
    this.attempts = attempts;
    this.random = options.random ?? systemRandom;
    this.#requestMs = requestMs;
    this.#scheduler = options.scheduler ?? systemScheduler;
    this.#tokens = new TokenSource({
      account: credentials,
      clock,
      post: (url, form) => this.#postForm(url, form),
    });
  }

  /** The answer, of any status but those that pass. Throws a `LakeSyncError`. */
  async send(request: ApiRequest): Promise<ApiAnswer> {
    let renewed = false;
    for (let attempt = 1;; attempt++) {
      const token = await this.#tokens.token();
      const answer = await this.#try(request, token);
      if (answer.status === 401 && !renewed) {
        this.#tokens.refused(token);
        renewed = true;
        continue;
      }
      if (!mayPass(answer) || request.once === true) return answer;
      if (attempt >= this.attempts) throw this.failure(answer);
      await this.wait(attempt, request.signal);
    }
  }

  /** The answer's body, where it is a good one. */
  async ask(request: ApiRequest): Promise<JsonValue | undefined> {
    const answer = await this.send(request);
    if (answer.status < 200 || answer.status > 299) throw this.failure(answer);
    return answer.body;
  }

  /** The error of an answer that is none of the expected ones. */
  failure(answer: ApiAnswer): LakeSyncError {
    const { status } = answer;
    const fault = faultOf(answer);
    // Only what it says about quotas is worth more than that it does not answer.
    if (status === 0 || status >= 500 || status === 408) {
      return new LakeSyncError(
        "OFFLINE",
        `${this.name} did not answer (${fault.message}): see that it can be reached, and try again`,
        { cause: fault },
      );
    }
    if (status === 401) {
      return new LakeSyncError(
        "FORBIDDEN",
        `${this.name} refuses the token of its service account (${fault.message}): see that the key is not disabled`,
        { cause: fault },
      );
    }
    return faultError(fault, { place: this.name });
  }

  /** Waits before one more try, longer each time. */
  async wait(attempt: number, signal?: AbortSignal): Promise<void> {
    const most = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MOST_DELAY_MS);
    const [high = 0, low = 0] = this.random.bytes(2);
    await this.delay(most * (0.5 + (high << 8 | low) / 0x20000), signal);
  }

  /** Waits so many ms, or until the signal aborts. */
  async delay(ms: number, signal?: AbortSignal): Promise<void> {
    await this.#scheduler.delay(ms, signal === undefined ? {} : { signal });
  }

  async #try(request: ApiRequest, token: string): Promise<ApiAnswer> {
    const { endpoint, project } = this.place;
    const { method, path, query = {}, body, signal } = request;
    const url = new URL(
      path.startsWith("http") ? path : `${endpoint}/bigquery/v2/projects/${project}/${path}`,
    );
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const isBytes = body instanceof Uint8Array;
    const { status, headers, text } = await this.#fetch(url.href, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && !isBytes && { "content-type": "application/json" }),
        ...request.headers,
      },
      ...(body !== undefined && { body: isBytes ? body : JSON.stringify(body) }),
    }, signal);
    return { status, headers, body: status === 0 ? { error: { message: text } } : jsonOf(text) };
  }

  async #postForm(url: string, form: URLSearchParams): Promise<{ status: number; text: string }> {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    for (let attempt = 1;; attempt++) {
      const answer = await this.#fetch(url, { method: "POST", headers, body: form.toString() });
      const { status, text } = answer;
      if (status !== 0 && status !== 429 && status < 500) return answer;
      if (attempt >= this.attempts) {
        throw new LakeSyncError(
          "OFFLINE",
          `${url} gives no token (${
            status === 0 ? text : status
          }): see that it can be reached, and try again`,
        );
      }
      await this.wait(attempt);
    }
  }

  /** The answer with its text, or with the status 0 the reason why none came. */
  async #fetch(
    url: string,
    init: RequestInit,
    signal?: AbortSignal,
  ): Promise<{ status: number; headers: Headers; text: string }> {
    const answered = new AbortController();
    const late = new AbortController();
    this.#scheduler.delay(this.#requestMs, { signal: answered.signal }).then(() => late.abort());
    try {
      if (signal?.aborted === true) throw abortedError(`what ${this.name} was asked`, signal);
      const response = await fetch(url, {
        ...init,
        redirect: "manual",
        signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
      });
      return { status: response.status, headers: response.headers, text: await response.text() };
    } catch (thrown) {
      if (signal?.aborted === true) throw abortedError(`what ${this.name} was asked`, signal);
      const reason = late.signal.aborted ? `no answer in ${this.#requestMs} ms` : String(thrown);
      return { status: 0, headers: new Headers(), text: reason };
    } finally {
      answered.abort();
    }
  }
}

/** Whether asking again may help. */
export function mayPass(answer: ApiAnswer): boolean {
  const { status } = answer;
  if (status === 0 || status === 408 || status === 429 || status >= 500) return true;
  return status === 403 && isPassing(faultOf(answer));
}

/** What an answer says is wrong. */
export function faultOf({ status, body }: ApiAnswer): Fault {
  const error = member(body, "error");
  const [first] = listOf(member(error, "errors"));
  const reason = textOf(member(first, "reason")) ??
    (status === 429 ? "rateLimitExceeded" : String(status));
  const message = textOf(member(error, "message")) ??
    (status === 0 ? "no answer" : `status ${status}`);
  return { reason, message };
}

/** A member of a JSON object, or undefined. */
export function member(value: JsonValue | undefined, name: string): JsonValue | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name)
    ? (value as { readonly [name: string]: JsonValue })[name]
    : undefined;
}

/** A list, or an empty one for what is none. */
export function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

/** A text, or undefined. */
export function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function jsonOf(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}
