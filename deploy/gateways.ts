import { join } from "node:path";
import {
  err,
  LakeSyncError,
  type Logger,
  ok,
  type Result,
  type Rules,
  type Scheduler,
  silentLogger,
  systemScheduler,
  type TableSchema,
} from "@lakesync/core";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergDestination } from "@lakesync/adapter-iceberg";
import {
  type AuthOptions,
  createAuth,
  createGateway,
  createHandler,
  type Exposure,
  type Gateway,
  type GatewayLimits,
  type GatewayService,
  type Handler,
  type HandlerLimits,
  memoryRateLimiter,
  type MemoryRateLimiterOptions,
} from "@lakesync/gateway";
import { flushOnce, flushRegularly } from "./flushing.ts";
import { gatewayPaths } from "./gateway_paths.ts";
import { isLocalHost, isLoopbackOrigin } from "./loopback.ts";
import { openSharded, type ShardConfig } from "./shards.ts";
import { openStores, type StoreChoice } from "./stores.ts";

/** Options of `openGateways`. */
export interface GatewaysOptions {
  /**
   * Where the SQLite logs, in `lake/` the tables and in `cache/` checkpoints are kept; made where it is
   * not there.
   */
  data: string;
  /**
   * Where the logs are kept.
   *
   * @default {{ kind: "sqlite" }}
   */
  store?: StoreChoice;
  /**
   * The ids of the gateways, each with a log and a lake of its own.
   *
   * @default {["default"]}
   */
  gateways?: readonly string[];
  /**
   * Tables of every gateway that have a log and a lake of their own.
   *
   * @default {[]}
   */
  shards?: readonly ShardConfig[];
  /**
   * The tables of every gateway.
   *
   * @default {undefined} those that were put before
   */
  tables?: readonly TableSchema[];
  /**
   * Who may see and change what, in every gateway.
   *
   * @default {undefined} as it was put before; else everybody everything
   */
  rules?: Rules;
  /**
   * How requests are authenticated.
   *
   * @default {undefined} not at all: everyone is who they say, and an admin
   */
  auth?: AuthOptions;
  /**
   * The web pages of other origins that may send requests and read the answers, each by its exact
   * origin: `https://app.example.org`. Without authentication pages of this machine may send them too.
   *
   * @default {[]}
   */
  origins?: readonly string[];
  /**
   * Whether callers reach the gateways by HTTPS: then browsers are told to use nothing else.
   *
   * @default {false}
   */
  https?: boolean;
  /**
   * Who may read `/metrics`.
   *
   * @default {"admin"} without authentication everybody is one
   */
  metrics?: Exposure;
  /**
   * Who may read `/ready`.
   *
   * @default {"open"}
   */
  ready?: Exposure;
  /**
   * How much every gateway takes and gives at once, and how much all of them have in hand.
   *
   * @default {{}} PROTOCOL's limits
   */
  limits?: Partial<GatewayLimits & HandlerLimits>;
  /**
   * How often clients may ask.
   *
   * @default {undefined} as often as they like
   */
  rates?: Pick<MemoryRateLimiterOptions, "perClient" | "perGateway">;
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

/** Gateways that are open, and what serves them. */
export interface OpenGateways {
  /** What serves them. */
  readonly handler: Handler;
  /** All gateways that have a log: of a sharded one, its shards. */
  readonly gateways: readonly Gateway[];
  /**
   * Refuses new requests, answers those under way, flushes a last time and closes.
   *
   * @param stopListening Resolves when the answers have been read; waited for no longer than a while.
   */
  stop(stopListening: () => Promise<void>): Promise<void>;
}

/**
 * Opens gateways over their logs and a lake in local files.
 *
 * @param options Where, and which.
 * @returns The gateways; the error of the store, the tables or the shards that failed.
 */
export async function openGateways(options: GatewaysOptions): Promise<Result<OpenGateways>> {
  const {
    data,
    gateways: ids = ["default"],
    shards = [],
    tables,
    rules,
    auth,
    limits = {},
    rates,
    logger = silentLogger,
    scheduler = systemScheduler,
    flushEvery = 60,
  } = options;
  const logs = ids.flatMap((id) => [id, ...shards.map(({ name }) => `${id}.${name}`)]);
  const twice = logs.find((id, i) => logs.indexOf(id) < i || id.length > 64);
  if (twice !== undefined) {
    return err(
      new LakeSyncError(
        "VALIDATION_ERROR",
        `Cannot name a shard "${twice}": two of that name, or too long, name it differently`,
      ),
    );
  }
  const stores = await openStores({
    choice: options.store ?? { kind: "sqlite" },
    sqlitePath: (id) => gatewayPaths(data, id).log,
    kvPath: join(data, "kv.db"),
    logger,
  });
  if (!stores.ok) return stores;
  const gateways: Gateway[] = [];
  const services: GatewayService[] = [];
  const closeAll = async () => {
    await Promise.all(services.map((service) => service.close()));
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await stores.value.close();
  };
  const open = async (id: string): Promise<Result<Gateway>> => {
    const store = await stores.value.open(id);
    if (!store.ok) return store;
    const lake = fileObjectStore({ directory: gatewayPaths(data, id).lake });
    const gateway = await createGateway({
      id,
      store: store.value,
      destinations: [icebergDestination({ store: lake, name: "lake" })],
      checkpointCache: { store: fileObjectStore({ directory: join(data, "cache") }) },
      limits,
      logger,
    });
    if (gateway.ok) gateways.push(gateway.value);
    else await store.value.close();
    return gateway;
  };
  for (const id of ids) {
    const service = await openSharded(id, { shards, tables, rules, open });
    if (!service.ok) {
      await closeAll();
      return service;
    }
    services.push(service.value);
  }
  const handler = createHandler({
    gateways: services,
    logger,
    limits,
    ...frontOf(options),
    ...(rates !== undefined && { rateLimiter: memoryRateLimiter(rates) }),
    ...(auth !== undefined && { auth: createAuth(auth) }),
  });
  const stopping = new AbortController();
  const { signal } = stopping;
  const everyMs = flushEvery * 1000;
  const flushing = flushRegularly(gateways, { everyMs, scheduler, logger, signal });
  const stop = async (stopListening: () => Promise<void>): Promise<void> => {
    stopping.abort();
    const ended = new AbortController();
    const patience = new AbortController();
    const grace = () => scheduler.delay(GRACE_MS, { signal: ended.signal });
    grace().then(() => patience.abort());
    await handler.drain({ signal: patience.signal });
    await Promise.race([stopListening(), grace()]);
    ended.abort();
    await flushing;
    for (const gateway of gateways) await flushOnce(gateway, logger);
    await closeAll();
  };
  let stopped: Promise<void> | undefined;
  return ok({ handler, gateways, stop: (stopListening) => stopped ??= stop(stopListening) });
}

/** Who is let in: without authentication nobody but this machine, and no page of elsewhere. */
function frontOf(options: GatewaysOptions): Partial<Parameters<typeof createHandler>[0]> {
  const { auth, origins, https, metrics, ready } = options;
  return {
    ...(auth === undefined && { allowOrigin: isLoopbackOrigin, allowHost: isLocalHost }),
    ...(origins !== undefined && { origins }),
    ...(https !== undefined && { https }),
    ...(metrics !== undefined && { metrics }),
    ...(ready !== undefined && { ready }),
  };
}
