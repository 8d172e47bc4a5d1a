import { join } from "node:path";
import {
  type Logger,
  ok,
  type Result,
  type Scheduler,
  silentLogger,
  systemScheduler,
  type TableSchema,
} from "@lakesync/core";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergDestination } from "@lakesync/adapter-iceberg";
import { createGateway, createHandler, type Gateway, openSqliteLogStore } from "@lakesync/gateway";
import { listen } from "./listen.ts";
import { isLoopbackOrigin } from "./loopback.ts";

/** Options of {@linkcode startServer}. */
export interface ServerOptions {
  /** Where the logs and, in `lake/`, the tables are kept; made where it is not there. */
  data: string;
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
   * The ids of the gateways, each with a log and a lake of its own.
   *
   * @default {["default"]}
   */
  gateways?: readonly string[];
  /**
   * The tables of every gateway.
   *
   * @default {undefined} those that were put before
   */
  tables?: readonly TableSchema[];
  /**
   * Seconds between flushes to the lake.
   *
   * @default {60}
   */
  flushEvery?: number;
  /**
   * Where log lines go.
   *
   * @default {silentLogger}
   */
  logger?: Logger;
  /**
   * Waiting.
   *
   * @default {systemScheduler}
   */
  scheduler?: Scheduler;
}

/** How long a stop waits for clients: for the rest of their bodies, then for them to read their answers. */
const GRACE_MS = 5_000;

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

/** Where a gateway keeps its things. */
export interface GatewayPaths {
  /** Its log. */
  readonly log: string;
  /** Its lake's tables. */
  readonly lake: string;
}

/**
 * Where a gateway keeps its things below a data directory.
 *
 * @param data The data directory.
 * @param id The gateway's id.
 * @returns `DATA/gateways/ID/log.db` and `DATA/lake/ID`.
 *
 * @example The default gateway
 * ```ts
 * import { gatewayPaths } from "@lakesync/deploy";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(gatewayPaths("data", "default").lake, "data/lake/default");
 * ```
 */
export function gatewayPaths(data: string, id: string): GatewayPaths {
  return { log: join(data, "gateways", id, "log.db"), lake: join(data, "lake", id) };
}

/**
 * Starts gateways over SQLite logs and a lake in local files, and serves them over HTTP.
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
  const {
    data,
    gateways: ids = ["default"],
    tables,
    logger = silentLogger,
    scheduler = systemScheduler,
    flushEvery = 60,
  } = options;
  const gateways: Gateway[] = [];
  const closeAll = () => Promise.all(gateways.map((gateway) => gateway.close()));
  for (const id of ids) {
    const paths = gatewayPaths(data, id);
    const store = await openSqliteLogStore({ path: paths.log });
    if (!store.ok) {
      await closeAll();
      return store;
    }
    const gateway = await createGateway({
      id,
      store: store.value,
      destinations: [
        icebergDestination({
          store: fileObjectStore({ directory: paths.lake }),
          name: "lake",
        }),
      ],
      logger,
      ...(tables !== undefined && { tables }),
    });
    if (!gateway.ok) {
      await store.value.close();
      await closeAll();
      return gateway;
    }
    gateways.push(gateway.value);
  }
  const handler = createHandler({ gateways, logger, allowOrigin: isLoopbackOrigin });
  const listener = await listen(handler.fetch, options);
  if (!listener.ok) {
    await closeAll();
    return listener;
  }
  const stopping = new AbortController();
  const flushing = flushRegularly(gateways, {
    everyMs: flushEvery * 1000,
    scheduler,
    logger,
    signal: stopping.signal,
  });
  let stopped: Promise<void> | undefined;
  return ok({
    url: listener.value.url,
    gateways,
    stop: () =>
      stopped ??= (async () => {
        stopping.abort();
        const ended = new AbortController();
        const patience = new AbortController();
        const grace = () => scheduler.delay(GRACE_MS, { signal: ended.signal });
        grace().then(() => patience.abort());
        await handler.drain({ signal: patience.signal });
        await Promise.race([listener.value.stop(), grace()]);
        ended.abort();
        await flushing;
        for (const gateway of gateways) await flushOnce(gateway, logger);
        await closeAll();
      })(),
  });
}

async function flushRegularly(
  gateways: readonly Gateway[],
  options: { everyMs: number; scheduler: Scheduler; logger: Logger; signal: AbortSignal },
): Promise<void> {
  const { everyMs, scheduler, logger, signal } = options;
  for (;;) {
    await scheduler.delay(everyMs, { signal });
    if (signal.aborted) return;
    for (const gateway of gateways) await flushOnce(gateway, logger);
  }
}

async function flushOnce(gateway: Gateway, logger: Logger): Promise<void> {
  const flushed = await gateway.flush();
  if (!flushed.ok) {
    const { code, message } = flushed.error;
    logger.log("error", "flush.failed", { gateway: gateway.id, code, message });
  } else if (flushed.value.deltas > 0) {
    logger.log("info", "flush.done", { gateway: gateway.id, ...flushed.value });
  }
}
