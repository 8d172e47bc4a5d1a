import { join } from "node:path";
import process from "node:process";
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
import {
  type AuthOptions,
  createAuth,
  createGateway,
  createHandler,
  type Gateway,
  type GatewayLimits,
  type GatewayService,
  type Handler,
  type HandlerLimits,
  memoryRateLimiter,
  type MemoryRateLimiterOptions,
} from "@lakesync/gateway";
import { type FrontConfig, frontOf } from "./config_front.ts";
import { type Destinations, type OpenDestination, openDestinations } from "./databases.ts";
import { flushOnce, flushRegularly, type FlushThresholds } from "./flushing.ts";
import { gatewayPaths } from "./gateway_paths.ts";
import { type LakeChoice, openLakes } from "./lake.ts";
import { openSharded, type ShardConfig } from "./shards.ts";
import { openStores, type StoreChoice } from "./stores.ts";

/** Options of `openGateways`. */
export interface GatewaysOptions extends FrontConfig {
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
   * Where the lakes are, and what they are made of.
   *
   * @default {{}} Iceberg tables in `lake/` in the data directory
   */
  lake?: LakeChoice;
  /**
   * Where flushes go beside the lake, by name.
   *
   * @default {{}}
   */
  destinations?: Destinations;
  /**
   * Seconds between flushes to the lake.
   *
   * @default {60}
   */
  flushEvery?: number;
  /**
   * With how much that is not flushed yet a flush does not wait for its time.
   *
   * @default {{}} it always waits
   */
  flushAt?: FlushThresholds;
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
 * Opens gateways over their logs and their lakes.
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
    flushAt = {},
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
  const lakes = await openLakes({
    choice: options.lake ?? {},
    directory: (id) => gatewayPaths(data, id).lake,
    env: process.env,
  });
  if (!lakes.ok) return lakes;
  const stores = await openStores({
    choice: options.store ?? { kind: "sqlite" },
    sqlitePath: (id) => gatewayPaths(data, id).log,
    kvPath: join(data, "kv.db"),
    logger,
  });
  if (!stores.ok) return stores;
  const gateways: Gateway[] = [];
  const destinations: OpenDestination[] = [];
  const closeAll = async () => {
    // Before the gateways: they keep what waits in the gateways' logs.
    for (const destination of destinations) await destination.close?.();
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await stores.value.close();
  };
  const open = async (id: string): Promise<Result<Gateway>> => {
    const store = await stores.value.open(id);
    if (!store.ok) return store;
    const others = await openDestinations(options.destinations ?? {}, {
      gateway: id,
      store: store.value,
      logger,
    });
    if (!others.ok) {
      await store.value.close();
      return others;
    }
    destinations.push(...others.value);
    const gateway = await createGateway({
      id,
      store: store.value,
      destinations: [lakes.value.destination(id), ...others.value],
      checkpointCache: { store: fileObjectStore({ directory: join(data, "cache") }) },
      limits,
      logger,
    });
    if (gateway.ok) gateways.push(gateway.value);
    else await store.value.close();
    return gateway;
  };
  const services: GatewayService[] = [];
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
  const flushing = flushRegularly(gateways, { everyMs, flushAt, scheduler, logger, signal });
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
    const idle = Promise.all(destinations.map((destination) => destination.idle?.()));
    await Promise.race([idle, scheduler.delay(GRACE_MS)]);
    await closeAll();
  };
  let stopped: Promise<void> | undefined;
  return ok({ handler, gateways, stop: (stopListening) => stopped ??= stop(stopListening) });
}
