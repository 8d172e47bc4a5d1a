import {
  err,
  type ErrorCode,
  LakeSyncError,
  type Logger,
  type PullAnswer,
  type PullRequest,
  type Random,
  type RequestOptions,
  type Result,
  silentLogger,
  type SyncTransport,
  systemRandom,
  systemScheduler,
  WS_PROTOCOL,
} from "@lakesync/core";
import { Connector } from "./_connector.ts";
import { type FrameCodec, jsonFrames } from "./_frames.ts";
import { GatewayHttp } from "./_gateway_http.ts";
import { type HttpTransportOptions, overHttp } from "./http_transport.ts";
import { TokenSource } from "./_token.ts";
import { type OpenSocket, openWebSocket } from "./web_socket.ts";

/** Options of {@linkcode webSocketTransport}. */
export interface WebSocketTransportOptions extends HttpTransportOptions {
  /**
   * How messages are written: `protobufFrames` of `@lakesync/client/protobuf` takes half of the bytes of
   * JSON and five times its time.
   *
   * @default {undefined} JSON
   */
  frames?: FrameCodec;
  /**
   * Opens the sockets.
   *
   * @default {undefined} the runtime's `WebSocket`
   */
  open?: OpenSocket;
  /**
   * After so many ms of silence the gateway is asked whether it is there.
   *
   * @default {15_000}
   */
  pingMs?: number;
  /**
   * Where it does not answer that within so many ms the socket is given up.
   *
   * @default {10_000}
   */
  pongMs?: number;
  /**
   * Chance, for the pauses between tries to open a socket.
   *
   * @default {systemRandom}
   */
  random?: Random;
  /**
   * Logs.
   *
   * @default {silentLogger}
   */
  logger?: Logger;
}

/** Errors of a socket that say nothing about the request: over HTTP it may go well. */
const SOCKET_ERRORS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "OFFLINE",
  "UNAUTHENTICATED",
  "SHUTTING_DOWN",
]);

/**
 * A way to a gateway over one WebSocket `lakesync.v1`, for one client: pushes, and pages that come by
 * themselves (PROTOCOL, section 4). What has no socket goes over HTTP meanwhile: checkpoints, pulls
 * that are not held, and everything while a socket cannot be had; a new one is tried for after pauses
 * that grow. Errors are those of {@linkcode httpTransport}.
 *
 * The socket is opened with the first pull that is held (`wait`), carries the token as subprotocol
 * `bearer.<JWT>`, and stays until `disconnect()`.
 *
 * @param options Where the gateway is.
 * @returns The transport.
 *
 * @example Nobody there
 * ```ts
 * import { webSocketTransport } from "@lakesync/client";
 * import { assertEquals } from "@std/assert";
 *
 * const transport = webSocketTransport({
 *   url: "http://gateway.invalid",
 *   fetch: () => Promise.reject(new TypeError("no route")),
 *   open: (_url, { listener }) => {
 *     queueMicrotask(() => listener.closed({ code: 1006, reason: "no route" }));
 *     return { send: () => {}, close: () => {} };
 *   },
 * });
 * const page = await transport.pull({ clientId: "a", cursor: "c", wait: 30 });
 * assertEquals(page.ok ? "" : page.error.code, "OFFLINE");
 * transport.disconnect?.();
 * ```
 */
export function webSocketTransport(options: WebSocketTransportOptions): SyncTransport {
  const token = new TokenSource(options.getToken);
  const gateway = new GatewayHttp(options, token);
  const http = overHttp(gateway);
  const connector = new Connector({
    url: gateway.url("ws").replace(/^http/, "ws"),
    protocol: WS_PROTOCOL,
    token,
    open: options.open ?? openWebSocket,
    codec: options.frames ?? jsonFrames,
    timeoutMs: options.timeoutMs ?? 30_000,
    pingMs: options.pingMs ?? 15_000,
    pongMs: options.pongMs ?? 10_000,
    scheduler: options.scheduler ?? systemScheduler,
    random: options.random ?? systemRandom,
    logger: options.logger ?? silentLogger,
  });
  return {
    live: true,
    async push(request, requestOptions = {}) {
      const { signal } = requestOptions;
      const { link } = connector;
      if (link !== undefined && signal?.aborted !== true) {
        const answer = await unlessAborted(link.push(request), signal);
        if (answer.ok || !SOCKET_ERRORS.has(answer.error.code)) return answer;
        link.close(answer.error.message, answer.error.code);
      }
      // Once more, unchanged: the gateway knows what it has already.
      return await http.push(request, requestOptions);
    },
    async pull(request, requestOptions = {}) {
      // What is there already is fetched at this side's pace, and compressed.
      if (request.wait === undefined || request.wait === 0) {
        return await http.pull(request, requestOptions);
      }
      return await held(request, requestOptions);
    },
    checkpoint: (request, requestOptions) => http.checkpoint(request, requestOptions),
    disconnect: () => connector.stop(),
  };

  async function held(
    request: PullRequest,
    { signal = new AbortController().signal }: RequestOptions,
  ): Promise<Result<PullAnswer>> {
    for (;;) {
      const link = await connector.wanted();
      if (signal.aborted) return stopped();
      if (link !== undefined) {
        const page = await link.pull(request, signal);
        if (page === undefined || signal.aborted) return stopped();
        if (page.ok || !SOCKET_ERRORS.has(page.error.code)) return page;
        // Who waits for news has to look how things stand: the gateway may be another one now.
        link.close(page.error.message, page.error.code);
        return err(new LakeSyncError("OFFLINE", page.error.message, { cause: page.error }));
      }
      const page = await polled(request, signal);
      if (page !== undefined) return page;
    }
  }

  /** A held pull over HTTP; undefined where a socket was opened meanwhile, which takes its place. */
  async function polled(
    request: PullRequest,
    signal: AbortSignal,
  ): Promise<Result<PullAnswer> | undefined> {
    const poll = new AbortController();
    let opened = false;
    const abort = () => poll.abort();
    const offOpen = connector.onOpen(() => {
      opened = true;
      abort();
    });
    signal.addEventListener("abort", abort);
    const page = await http.pull(request, { signal: poll.signal });
    signal.removeEventListener("abort", abort);
    offOpen();
    return !page.ok && page.error.code === "ABORTED" && opened ? undefined : page;
  }
}

/** An answer, or `ABORTED` where the caller gives up waiting for it. */
async function unlessAborted<T>(
  answer: Promise<Result<T>>,
  signal: AbortSignal | undefined,
): Promise<Result<T>> {
  if (signal === undefined) return await answer;
  const { promise, resolve } = Promise.withResolvers<Result<T>>();
  const abort = () => resolve(stopped());
  signal.addEventListener("abort", abort);
  const first = await Promise.race([answer, promise]);
  signal.removeEventListener("abort", abort);
  return first;
}

function stopped(): Result<never> {
  return err(new LakeSyncError("ABORTED", "The request was stopped"));
}
