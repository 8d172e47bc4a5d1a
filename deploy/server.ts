import { ok, type Result } from "@lakesync/core";
import type { Gateway } from "@lakesync/gateway";
import { type GatewaysOptions, openGateways } from "./gateways.ts";
import { listen } from "./listen.ts";

/** Options of {@linkcode startServer}. */
export interface ServerOptions extends GatewaysOptions {
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
}

/** A server that runs. */
export interface RunningServer {
  /** Where it listens. */
  readonly url: string;
  /** Its gateways. */
  readonly gateways: readonly Gateway[];
  /**
   * Refuses new requests, answers those under way, flushes a last time and closes. It waits
   * five seconds for clients to send the rest of a body, then five for them to read their answers.
   */
  stop(): Promise<void>;
}

/**
 * Starts gateways over their logs and a lake in local files, and serves them over HTTP.
 *
 * @param options Where, and which.
 * @returns The server; the error of the store, the tables or the address that failed.
 *
 * @example Start and stop
 * ```ts
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { startServer } from "@lakesync/deploy";
 * import { assertEquals } from "@std/assert";
 * import { mkdtemp, rm } from "node:fs/promises";
 *
 * const data = await mkdtemp("/tmp/lakesync-");
 * const server = unwrapOrThrow(await startServer({ data }));
 * assertEquals((await (await fetch(`${server.url}/health`)).json()).status, "ok");
 * await server.stop();
 * await rm(data, { recursive: true });
 * ```
 */
export async function startServer(options: ServerOptions): Promise<Result<RunningServer>> {
  const opened = await openGateways(options);
  if (!opened.ok) return opened;
  const { handler, gateways, stop } = opened.value;
  const listener = await listen(handler.fetch, { ...options, upgrade: handler.upgrade });
  if (!listener.ok) {
    await stop(() => Promise.resolve());
    return listener;
  }
  const { url, stop: stopListening } = listener.value;
  return ok({ url, gateways, stop: () => stop(stopListening) });
}
