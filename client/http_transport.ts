import type { Scheduler, SyncTransport } from "@lakesync/core";
import { GatewayHttp } from "./_gateway_http.ts";
import { readPullAnswer, readPushAnswer } from "./_http_answer.ts";
import type { GetToken } from "./_token.ts";

export type { GetToken };

/** Options of {@linkcode httpTransport}. */
export interface HttpTransportOptions {
  /** Where the gateway listens: `https://sync.example.com`. */
  url: string;
  /**
   * The gateway's id.
   *
   * @default {"default"}
   */
  gateway?: string;
  /**
   * Gives the token for `Authorization: Bearer`.
   *
   * @default {undefined} requests carry none
   */
  getToken?: GetToken;
  /**
   * Makes the requests.
   *
   * @default {globalThis.fetch}
   */
  fetch?: (request: Request) => Promise<Response>;
  /**
   * After so many ms without a sign of the gateway a request fails with `TIMEOUT`.
   *
   * @default {30_000}
   */
  timeoutMs?: number;
  /**
   * Measures that time.
   *
   * @default {systemScheduler}
   */
  scheduler?: Scheduler;
}

/**
 * A way to a gateway over HTTP, in JSON (PROTOCOL, section 4); news come by pulls that the gateway
 * holds (`wait`). A request whose token is refused is made once more with a new one. Errors have the gateway's code, `OFFLINE` where it was not reached
 * and `TIMEOUT` where it did not answer in time; `details.retryAfterMs` is its `Retry-After`.
 *
 * @param options Where the gateway is.
 * @returns The transport.
 *
 * @example Nobody there
 * ```ts
 * import { httpTransport } from "@lakesync/client";
 * import { assertEquals } from "@std/assert";
 *
 * const transport = httpTransport({
 *   url: "http://gateway.invalid",
 *   fetch: () => Promise.reject(new TypeError("no route")),
 * });
 * const page = await transport.pull({ clientId: "a", cursor: "" });
 * assertEquals(page.ok ? "" : page.error.code, "OFFLINE");
 * ```
 */
export function httpTransport(options: HttpTransportOptions): SyncTransport {
  return overHttp(new GatewayHttp(options));
}

/** The transport over a gateway's HTTP routes. */
export function overHttp(http: GatewayHttp): SyncTransport {
  return {
    live: true,
    async push(request, requestOptions = {}) {
      const body = JSON.stringify(request);
      const answer = await http.json("push", { body, ...requestOptions });
      return answer.ok ? readPushAnswer(answer.value) : answer;
    },
    async pull(request, requestOptions = {}) {
      const { clientId, cursor, limit, tables, wait, own, schemaVersion, schema, tell } = request;
      const query = {
        clientId,
        cursor,
        limit,
        tables: tables?.join(","),
        wait,
        own,
        schemaVersion,
        schema,
        tell,
      };
      const answer = await http.json("pull", {
        query,
        waitMs: (wait ?? 0) * 1000,
        ...requestOptions,
      });
      return answer.ok ? readPullAnswer(answer.value) : answer;
    },
    checkpoint(request, requestOptions = {}) {
      return http.checkpoint(request, requestOptions);
    },
  };
}

/** Options of {@linkcode inProcessTransport}. */
export interface InProcessTransportOptions {
  /** The gateway's handler. */
  fetch: (request: Request) => Promise<Response>;
  /**
   * The gateway's id.
   *
   * @default {"default"}
   */
  gateway?: string;
  /**
   * Gives the token for `Authorization: Bearer`.
   *
   * @default {undefined} requests carry none
   */
  getToken?: GetToken;
}

/**
 * A way to a gateway in the same process: {@linkcode httpTransport} without a network.
 *
 * @param options The gateway's `fetch` handler.
 * @returns The transport.
 *
 * @example A gateway that is busy
 * ```ts
 * import { inProcessTransport } from "@lakesync/client";
 * import { assertEquals } from "@std/assert";
 *
 * const transport = inProcessTransport({
 *   fetch: () => Promise.resolve(new Response(null, { status: 503, headers: { "Retry-After": "2" } })),
 * });
 * const page = await transport.pull({ clientId: "a", cursor: "" });
 * assertEquals(page.ok ? undefined : page.error.details?.retryAfterMs, 2000);
 * ```
 */
export function inProcessTransport(options: InProcessTransportOptions): SyncTransport {
  return httpTransport({ url: "http://in-process.invalid", ...options });
}
