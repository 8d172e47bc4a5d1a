import { join } from "node:path";
import process from "node:process";
import {
  err,
  LakeSyncError,
  type Logger,
  type LogStore,
  ok,
  type Result,
  type Rules,
  type Scheduler,
  silentLogger,
  systemClock,
  systemRandom,
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
import type { LoadedFlows } from "./config_flows.ts";
import type { Destinations, OpenDestination } from "./databases.ts";
import { runFlows, unread } from "./flows.ts";
import { type CopyPlaces, isCopied, openCopied } from "./flows_copy.ts";
import { directRoutes, flowLog, flowsInto, openDirect } from "./flows_log.ts";
import { openRoutes, type Routes } from "./flows_routes.ts";
import { FlowsStatusFile } from "./flows_status.ts";
import { flushLast, flushRegularly, type FlushThresholds } from "./flushing.ts";
import { gatewayPaths } from "./gateway_paths.ts";
import { openLakes } from "./lake.ts";
import type { LakeChoice } from "./lake_choice.ts";
import { checkPlaces, type LakePlace } from "./lake_places.ts";
import { type Pages, withPages } from "./pages.ts";
import { declaredOf } from "./plan.ts";
import { writeDeclared } from "./plan_file.ts";
import { openSharded, type ShardConfig } from "./shards.ts";
import { openStores, type StoreChoice } from "./stores.ts";
import { type KeptGateway, Upkeep } from "./upkeep.ts";

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
   * Sources, and what flows from where to where.
   *
   * @default {undefined} everything flows to the lake and to all destinations
   */
  flows?: LoadedFlows;
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
   * Web pages that are served beside the gateways.
   *
   * @default {undefined} none
   */
  pages?: Pages;
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
  const { flows } = options;
  const direct = flows?.flows.filter(({ direct }) => direct.length > 0) ?? [];
  const logs = [
    ...ids.flatMap((id) => [id, ...shards.map(({ name }) => `${id}.${name}`)]),
    ...direct.map(flowLog),
  ];
  const twice = logs.find((id, i) => logs.indexOf(id) < i || id.length > 64);
  if (twice !== undefined) {
    return err(
      new LakeSyncError(
        "VALIDATION_ERROR",
        `Cannot name a shard "${twice}": two of that name, or too long, name it differently`,
      ),
    );
  }
  const place: LakePlace = {
    choice: options.lake ?? {},
    directory: (id) => gatewayPaths(data, id).lake,
    env: process.env,
  };
  const ownPlaces = checkPlaces({
    lake: place,
    destinations: options.destinations ?? {},
    logs: new Map([
      ...logs.map((id) => [id, flows?.routes] as const),
      ...direct.map((flow) => [flowLog(flow), directRoutes(flow)] as const),
    ]),
  });
  if (!ownPlaces.ok) return ownPlaces;
  const lakes = await openLakes({ ...place, patient: true });
  if (!lakes.ok) return lakes;
  if (lakes.value.unprobed !== undefined) {
    const { code, message } = lakes.value.unprobed;
    logger.log("warn", "lake.unprobed", { destination: "lake", code, message });
  }
  const stores = await openStores({
    choice: options.store ?? { kind: "sqlite" },
    sqlitePath: (id) => gatewayPaths(data, id).log,
    kvPath: join(data, "kv.db"),
    logger,
  });
  if (!stores.ok) return stores;
  const stopping = new AbortController();
  const { signal } = stopping;
  const lake = options.lake ?? {};
  const upkeep = new Upkeep({ data, lake, scheduler, logger, signal });
  const gateways: Gateway[] = [];
  const kept: KeptGateway[] = [];
  const destinations: OpenDestination[] = [];
  const places: LogStore[] = [];
  const closeAll = async () => {
    // Before the gateways: they keep what waits in the gateways' logs.
    for (const destination of destinations) await destination.close?.();
    for (const source of flows?.sources ?? []) await source.close?.();
    await Promise.all([...gateways, ...places].map((opened) => opened.close()));
    await stores.value.close();
  };
  const openPlaces = async (
    id: string,
    routes: Routes | undefined,
  ): Promise<Result<CopyPlaces>> => {
    const store = await stores.value.open(id);
    if (!store.ok) return store;
    const routed = await openRoutes({
      routes,
      factories: options.destinations ?? {},
      lake: () => lakes.value.destination(id),
      context: { gateway: id, store: store.value, logger },
    });
    if (!routed.ok) {
      await store.value.close();
      return routed;
    }
    destinations.push(...routed.value.opened);
    return ok({ store: store.value, destinations: routed.value.destinations });
  };
  const openLog = async (id: string, routes: Routes | undefined): Promise<Result<Gateway>> => {
    const opened = await openPlaces(id, routes);
    if (!opened.ok) return opened;
    const { store, destinations } = opened.value;
    const intoLake = destinations.some(({ name }) => name === "lake");
    const gateway = await createGateway({
      id,
      store,
      destinations,
      sources: flows?.sources.filter(({ stateful }) => stateful !== true) ?? [],
      ...(lakes.value.checkpoints && { checkpointObjects: lakes.value.checkpoints }),
      checkpointCache: { store: fileObjectStore({ directory: join(data, "cache") }) },
      limits,
      logger,
      ...(intoLake && { maintenance: () => upkeep.stats(id) }),
    });
    if (gateway.ok && intoLake) kept.push(gateway.value);
    if (gateway.ok) gateways.push(gateway.value);
    else await store.close();
    return gateway;
  };
  const open = (id: string) => openLog(id, flows?.routes);
  const services: GatewayService[] = [];
  for (const id of ids) {
    const service = await openSharded(id, { shards, tables, rules, open });
    if (!service.ok) {
      await closeAll();
      return service;
    }
    services.push(service.value);
  }
  const runs = flowsInto(gateways, { flows, sharded: shards.length > 0 });
  const served = [...gateways];
  for (const flow of direct) {
    const routes = directRoutes(flow);
    const opened = isCopied(flow)
      ? await openCopied(flow, async (id) => {
        const opened = await openPlaces(id, routes);
        if (!opened.ok) return opened;
        const { store } = opened.value;
        places.push(store);
        if (routes.has("lake")) kept.push({ id, store });
        return opened;
      })
      : await openDirect(flow, { tables, open: (id) => openLog(id, routes) });
    if (!opened.ok) {
      await closeAll();
      return opened;
    }
    runs.push(...opened.value);
  }
  const routes = createHandler({
    gateways: services,
    logger,
    limits,
    ...frontOf(options),
    ...(rates !== undefined && { rateLimiter: memoryRateLimiter(rates) }),
    ...(auth !== undefined && { auth: createAuth(auth) }),
  });
  const { pages } = options;
  const handler = pages === undefined ? routes : withPages(routes, pages, logger);
  const everyMs = flushEvery * 1000;
  const status = new FlowsStatusFile({ data, clock: systemClock, logs: gateways });
  const flushing = flushRegularly(served, {
    everyMs,
    flushAt,
    scheduler,
    logger,
    signal,
    onFlushed: () => status.write(),
  });
  const keeping = upkeep.run(kept);
  if (tables !== undefined) {
    const declared = declaredOf({
      tables,
      rules,
      shards,
      flows,
      destinations: options.destinations ?? {},
    });
    const kept = await writeDeclared(data, declared);
    if (!kept.ok) logger.log("warn", "plan.failed", { message: kept.error.message });
  }
  // What a server before this one told is over.
  for (const run of runs) status.set(unread(run));
  status.write();
  await status.settled();
  const random = systemRandom;
  const flowing = runFlows(runs, { status, scheduler, random, logger, signal });
  const stop = async (stopListening: () => Promise<void>): Promise<void> => {
    stopping.abort();
    const ended = new AbortController();
    const patience = new AbortController();
    const grace = () => scheduler.delay(GRACE_MS, { signal: ended.signal });
    grace().then(() => patience.abort());
    await handler.drain({ signal: patience.signal });
    await Promise.race([stopListening(), grace()]);
    ended.abort();
    // A flush that hangs is joined by the last one, which has its time.
    await Promise.all([Promise.race([flushing, scheduler.delay(GRACE_MS)]), keeping]);
    // A source that does not heed its signal is left behind: its batch is not taken.
    await Promise.race([flowing, scheduler.delay(GRACE_MS)]);
    await flushLast(gateways, { logger, scheduler });
    const idle = Promise.all(destinations.map((destination) => destination.idle?.()));
    await Promise.race([idle, scheduler.delay(GRACE_MS)]);
    status.write();
    await status.settled();
    await closeAll();
  };
  let stopped: Promise<void> | undefined;
  return ok({
    handler,
    gateways: served,
    stop: (stopListening) => stopped ??= stop(stopListening),
  });
}
