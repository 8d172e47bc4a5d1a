import {
  type CheckpointRequest,
  err,
  ok,
  type RequestOptions,
  type Result,
  type Scheduler,
  systemScheduler,
} from "@lakesync/core";
import { type MeteredCheckpoint, sizeOf } from "./_first_sync.ts";
import { parseJson, readError } from "./_http_answer.ts";
import type { HttpTransportOptions } from "./http_transport.ts";
import { broken, checkpointRows, isHeader, jsonLines } from "./_ndjson.ts";
import { guard, Watch } from "./_request_watch.ts";
import { TokenSource } from "./_token.ts";

type Query = { readonly [name: string]: string | number | undefined };

interface SendOptions extends RequestOptions {
  readonly body?: string;
  readonly query?: Query;
  /** How long the gateway was asked to hold the request. */
  readonly waitMs?: number;
}

/** Hosts that are this machine. */
const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

/** Requests to one gateway. */
export class GatewayHttp {
  readonly #isNear: boolean;
  readonly #url: string;
  readonly #base: string;
  readonly #token: TokenSource;
  readonly #fetch: (request: Request) => Promise<Response>;
  readonly #timeoutMs: number;
  readonly #scheduler: Scheduler;

  /** @param token Shared with other connections to the same gateway. */
  constructor(
    options: HttpTransportOptions,
    token: TokenSource = new TokenSource(options.getToken),
  ) {
    const { url, gateway = "default" } = options;
    if (!URL.canParse(url)) {
      throw new TypeError(`Cannot make a transport: "${url}" is not a URL`);
    }
    const { origin, hostname } = new URL(url);
    this.#url = origin;
    this.#isNear = LOOPBACK.test(hostname);
    this.#base = `${url.replace(/\/+$/, "")}/v1/sync/${encodeURIComponent(gateway)}`;
    this.#token = token;
    this.#fetch = options.fetch ?? ((request) => globalThis.fetch(request));
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#scheduler = options.scheduler ?? systemScheduler;
  }

  /** The URL of a route. */
  url(route: string): string {
    return `${this.#base}/${route}`;
  }

  /** A request whose answer is one JSON value. */
  async json(route: string, options: SendOptions): Promise<Result<unknown>> {
    const watch = this.#watch(options);
    try {
      const response = await this.#send(route, { ...options, signal: watch.signal });
      if (!response.ok) return err(watch.explain(response.error));
      const { value } = response;
      return parseJson(await value.text(), { route, type: value.headers.get("Content-Type") });
    } catch (thrown) {
      return err(watch.explain(thrown));
    } finally {
      watch.stop();
    }
  }

  /** A request whose answer is a stream of rows. */
  async checkpoint(
    request: CheckpointRequest,
    options: RequestOptions,
  ): Promise<Result<MeteredCheckpoint>> {
    const watch = this.#watch(options);
    const { clientId, tables, schemaVersion, atLeast } = request;
    try {
      const response = await this.#send("checkpoint", {
        query: { clientId, tables: tables?.join(","), schemaVersion, atLeast },
        signal: watch.signal,
      });
      if (!response.ok) {
        watch.stop();
        return err(watch.explain(response.error));
      }
      const { body, headers } = response.value;
      if (body === null) throw broken("it is empty");
      const size = sizeOf(headers);
      let bytes = 0;
      const lines = jsonLines(watch.heartbeat(body, (length) => bytes += length));
      const first = await lines.next();
      const [header, ...rest] = first.done === true ? [] : first.value;
      if (!isHeader(header)) throw broken("it has no header");
      const { seq, cursor } = header.checkpoint;
      const rows = guard(checkpointRows(lines, rest), watch);
      return ok({ seq, cursor, rows, arrived: () => ({ bytes, ...size }) });
    } catch (thrown) {
      watch.stop();
      return err(watch.explain(thrown));
    }
  }

  async #send(route: string, options: SendOptions): Promise<Result<Response>> {
    const asked = this.#token.get();
    const token = asked && await unlessStopped(asked, options.signal);
    let response = await this.#attempt(route, token, options);
    if (response.status === 401 && await this.#token.renew(token)) {
      await response.body?.cancel();
      response = await this.#attempt(
        route,
        await unlessStopped(this.#token.get(), options.signal),
        options,
      );
    }
    return response.ok ? ok(response) : err(await readError(response));
  }

  async #attempt(
    route: string,
    token: string | undefined,
    options: SendOptions,
  ): Promise<Response> {
    const { body, query = {}, signal } = options;
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) params.set(name, String(value));
    }
    const headers = new Headers({ Accept: "application/json, application/x-ndjson" });
    // Between processes of one machine, packing a page costs more than its bytes.
    if (this.#isNear && route === "pull") headers.set("Accept-Encoding", "identity");
    if (body !== undefined) headers.set("Content-Type", "application/json");
    if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
    const search = params.size === 0 ? "" : `?${params}`;
    return await this.#fetch(
      new Request(`${this.url(route)}${search}`, {
        method: body === undefined ? "GET" : "POST",
        headers,
        ...(body !== undefined && { body }),
        ...(signal !== undefined && { signal }),
      }),
    );
  }

  #watch(options: SendOptions): Watch {
    const ms = this.#timeoutMs + (options.waitMs ?? 0);
    return new Watch(this.#scheduler, { ms, url: this.#url, signal: options.signal });
  }
}

/** What may be long in coming, as a token may: who is stopped does not wait for it. */
async function unlessStopped<T>(
  coming: Promise<T> | T,
  signal: AbortSignal | undefined,
): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  const stop = (): void => stopped.reject(signal?.reason);
  signal?.addEventListener("abort", stop);
  if (signal?.aborted === true) stop();
  try {
    return await Promise.race([coming, stopped.promise]);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
