import {
  type LakeSyncError,
  type Logger,
  type Result,
  systemClock,
  systemScheduler,
} from "@lakesync/core";
import type { Handler } from "@lakesync/gateway";
import { type KvGateways, type KvGatewaysConfig, openKvGateways } from "./kv_gateways.ts";
import { listenOn } from "./listen_deno.ts";
import { jsonLogger } from "./logger.ts";
import { isLoopback } from "./loopback.ts";

/** What {@linkcode serveDenoDeploy} serves. */
export interface DenoDeployConfig extends KvGatewaysConfig {
  /**
   * When the logs are flushed: a cron schedule.
   *
   * @default {"* * * * *"}
   */
  flushSchedule?: string;
  /**
   * The address, where it is not Deno Deploy's.
   *
   * @default {{ host: "0.0.0.0", port: 8000 }}
   */
  address?: { host: string; port: number };
  /**
   * Where log lines go.
   *
   * @default {jsonLogger({ clock: systemClock })}
   */
  logger?: Logger;
}

/** A server on Deno Deploy, or under its conditions. */
export interface DenoDeployServer {
  /** The port that it listens on. */
  readonly port: number;
  /** What the cron does: flushes each gateway's log, unless another instance is at it. */
  flush(): Promise<void>;
  /** Drains and closes within five seconds. */
  stop(): Promise<void>;
}

/** Deno Deploy ends an instance five seconds after SIGINT: how long a stop waits for bodies … */
const BODIES_MS = 1_500;
/** … and in all for answers to be read, before it closes. */
const ANSWERS_MS = 3_500;

/**
 * Serves gateways on Deno Deploy: their logs in Deno KV, flushed by `Deno.cron`, nothing on a local
 * disk, ready to be ended by SIGINT. Call it at the top level of the main module: there Deno Deploy
 * looks for crons. The database is opened with the first request.
 *
 * @param config The tables, where they are flushed to, how requests are authenticated.
 * @returns The server, which listens.
 * @throws `TypeError` where it would serve strangers without authentication.
 *
 * @example A main.ts, here on loopback and in memory
 * ```ts
 * import { boolean, defineTable, string } from "@lakesync/core";
 * import { serveDenoDeploy } from "@lakesync/deploy";
 * import { assertEquals } from "@std/assert";
 *
 * const server = serveDenoDeploy({
 *   tables: [defineTable("todos", { title: string(), done: boolean() })],
 *   kvPath: ":memory:",
 *   address: { host: "127.0.0.1", port: 0 },
 * });
 * const ready = await fetch(`http://127.0.0.1:${server.port}/ready`);
 * assertEquals((await ready.json()).status, "ready");
 * await server.stop();
 * ```
 */
export function serveDenoDeploy(config: DenoDeployConfig): DenoDeployServer {
  const { logger = jsonLogger({ clock: systemClock }), flushSchedule = "* * * * *" } = config;
  const { address = { host: "0.0.0.0", port: 8_000 } } = config;
  if (config.auth === undefined && !isLoopback(address.host)) {
    throw new TypeError("Cannot serve without authentication: set auth, or a loopback address");
  }
  let opening: Promise<Result<KvGateways>> | undefined;
  const opened = async (): Promise<Result<KvGateways>> => {
    const result = await (opening ??= openKvGateways(config, logger));
    if (!result.ok) {
      const { code, message } = result.error;
      logger.log("error", "open.failed", { code, message });
      // The next request tries again.
      opening = undefined;
    }
    return result;
  };
  const flush = async (): Promise<void> => {
    const gateways = await opened();
    if (gateways.ok) await gateways.value.flush();
  };
  const stopping = new AbortController();
  Deno.cron("lakesync-flush", flushSchedule, { signal: stopping.signal }, flush);
  const serve = async <T>(use: (handler: Handler) => Promise<T>): Promise<T | Response> => {
    const gateways = await opened();
    return gateways.ok ? await use(gateways.value.handler) : unavailable(gateways.error, logger);
  };
  const listener = listenOn({
    fetch: (request) => serve((handler) => handler.fetch(request)),
    upgrade: (request) => serve((handler) => handler.upgrade(request)),
  }, address);

  const close = async (): Promise<void> => {
    stopping.abort();
    Deno.removeSignalListener("SIGINT", onSigint);
    const ended = new AbortController();
    const patience = new AbortController();
    const { signal } = ended;
    void systemScheduler.delay(BODIES_MS, { signal }).then(() => patience.abort());
    const gateways = opening === undefined ? undefined : await opening;
    const drained = gateways?.ok === true
      ? gateways.value.handler.drain({ signal: patience.signal })
      : Promise.resolve();
    const stopped = drained.then(() => listener.stop());
    await Promise.race([stopped, systemScheduler.delay(ANSWERS_MS, { signal })]);
    ended.abort();
    // No last flush: the log is in KV, and the next cron of whichever instance flushes it.
    if (gateways?.ok === true) await gateways.value.close();
  };
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => stopped ??= close();
  const onSigint = (): void => {
    logger.log("info", "stopping", { signal: "SIGINT" });
    void stop().finally(() => Deno.exit(0));
  };
  Deno.addSignalListener("SIGINT", onSigint);
  return { port: listener.port, flush, stop };
}

function unavailable({ code, message }: LakeSyncError, logger: Logger): Response {
  const requestId = crypto.randomUUID();
  logger.log("error", "request.failed", { requestId, code, message });
  const told = `The gateway failed: its log has the cause under request id ${requestId}`;
  const headers = { "cache-control": "no-store", "x-request-id": requestId };
  return Response.json({ error: { code: "INTERNAL", message: told, requestId } }, {
    status: 500,
    headers,
  });
}
