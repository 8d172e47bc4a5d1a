import { err, LakeSyncError, ok, type Result, toLakeSyncError } from "@lakesync/core";
import type { WsUpgrade } from "@lakesync/gateway";

/** What {@linkcode listen} serves. */
export type Fetch = (request: Request) => Promise<Response>;

/** Judges a request that asks for a WebSocket. */
export type Upgrade = (request: Request) => Promise<WsUpgrade | Response>;

/** Options of {@linkcode listen}. */
export interface ListenOptions {
  /**
   * The address to listen on.
   *
   * @default {"127.0.0.1"}
   */
  host?: string;
  /**
   * The port; 0 takes any free one.
   *
   * @default {0}
   */
  port?: number;
  /**
   * What requests for a WebSocket go to.
   *
   * @default {fetch} they are answered like any other
   */
  upgrade?: Upgrade;
}

/** What a runtime's server hands requests to. */
export interface Served {
  /** All requests but those for a WebSocket. */
  readonly fetch: Fetch;
  /** Those. */
  readonly upgrade: Upgrade;
}

/** So many seconds of silence, and a WebSocket is asked whether it is still there; as many more end it. */
export const SOCKET_IDLE_SECONDS = 30;

/**
 * Whether a request asks for a WebSocket.
 *
 * @param request The request.
 * @returns Whether its `Upgrade` says so.
 */
export function asksForWebSocket(request: Request): boolean {
  return request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** A server that listens. */
export interface Listener {
  /** Where: `http://127.0.0.1:8787`. */
  readonly url: string;
  /** Takes no new connection, and resolves when those under way have ended. */
  stop(): Promise<void>;
}

/**
 * Serves a `fetch` handler over HTTP on Deno or Bun.
 *
 * @param fetch The handler.
 * @param options The address.
 * @returns The listener; `CONFLICT` where the address cannot be had.
 *
 * @example Serve and ask
 * ```ts
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { listen } from "@lakesync/deploy";
 * import { assertEquals } from "@std/assert";
 *
 * const listener = unwrapOrThrow(await listen(() => Promise.resolve(new Response("hello"))));
 * assertEquals(await (await fetch(listener.url)).text(), "hello");
 * await listener.stop();
 * ```
 */
export async function listen(fetch: Fetch, options: ListenOptions = {}): Promise<Result<Listener>> {
  const { host = "127.0.0.1", port = 0, upgrade = fetch } = options;
  const runtime = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : undefined;
  if (runtime === undefined) throw new TypeError("Cannot listen: this is neither Deno nor Bun");
  const { listenOn } = runtime === "deno"
    ? await import("./listen_deno.ts")
    : await import("./listen_bun.ts");
  try {
    const { port: bound, stop } = listenOn({ fetch, upgrade }, { host, port });
    const name = host.includes(":") ? `[${host}]` : host;
    return ok({ url: `http://${name}:${bound}`, stop });
  } catch (thrown) {
    const { message } = toLakeSyncError(thrown, "CONFLICT");
    return err(
      new LakeSyncError(
        "CONFLICT",
        `Cannot listen on ${host}:${port}: ${message}; choose another --port`,
        {
          cause: thrown,
        },
      ),
    );
  }
}
