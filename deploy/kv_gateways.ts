import {
  type Destination,
  err,
  type Logger,
  ok,
  type Result,
  type Rules,
  type Table,
} from "@lakesync/core";
import {
  type AuthOptions,
  createAuth,
  createGateway,
  createHandler,
  type Gateway,
  type Handler,
  kvLogStore,
  openDenoKv,
} from "@lakesync/gateway";

import { type FrontConfig, frontOf } from "./config_front.ts";

/** Gateways whose logs are in one Deno KV database. */
export interface KvGatewaysConfig extends FrontConfig {
  /** The tables of every gateway. */
  tables: readonly Table[];
  /**
   * Who may see and change what, in every gateway.
   *
   * @default {undefined} as it was put before; else everybody everything
   */
  rules?: Rules;
  /**
   * Where a gateway's log is flushed to. Nothing on a local disk: on Deno Deploy it goes with the
   * instance.
   *
   * @default {() => []}
   */
  destinations?: (gateway: string) => readonly Destination[];
  /**
   * The ids of the gateways, each with a log of its own.
   *
   * @default {["default"]}
   */
  gateways?: readonly string[];
  /**
   * How requests are authenticated. May be left out on loopback only.
   *
   * @default {undefined}
   */
  auth?: AuthOptions;
  /**
   * The database, where it is not the project's own: a file, say.
   *
   * @default {undefined}
   */
  kvPath?: string;
}

/** Gateways that are open. */
export interface KvGateways {
  /** What serves them. */
  readonly handler: Handler;
  /** Flushes each log, unless another instance is at it. */
  flush(): Promise<void>;
  /** Closes them and the database. */
  close(): Promise<void>;
}

/** On Deno Deploy KV's watch sees all instances; looking is for the case that it broke off. */
const POLL_MS = { project: 60_000, file: 250 };

/** Opens the database and the gateways in it. */
export async function openKvGateways(
  config: KvGatewaysConfig,
  logger: Logger,
): Promise<Result<KvGateways>> {
  const { kvPath, auth, rules, destinations = () => [], gateways: ids = ["default"] } = config;
  const kv = await openDenoKv(kvPath === undefined ? {} : { path: kvPath });
  if (!kv.ok) return kv;
  const gateways: Gateway[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(gateways.map((gateway) => gateway.close()));
    kv.value.close();
  };
  for (const id of ids) {
    const pollMs = kvPath === undefined ? POLL_MS.project : POLL_MS.file;
    const store = await kvLogStore({ kv: kv.value, prefix: ["lakesync", id], pollMs });
    const gateway = !store.ok ? store : await createGateway({
      id,
      store: store.value,
      tables: config.tables.map(({ schema }) => schema),
      destinations: destinations(id),
      logger,
      ...(rules !== undefined && { rules }),
    });
    if (!gateway.ok) {
      await close();
      return err(gateway.error);
    }
    gateways.push(gateway.value);
  }
  const handler = createHandler({
    gateways,
    logger,
    ...frontOf(config),
    ...(auth !== undefined && { auth: createAuth(auth) }),
  });
  const flush = async (): Promise<void> => {
    for (const gateway of gateways) await flushGateway(gateway, logger);
  };
  return ok({ handler, flush, close });
}

/** What does not run for long waits for destinations behind the first. */
const FLUSH_WAIT_MS = 20_000;

async function flushGateway(gateway: Gateway, logger: Logger): Promise<void> {
  const flushed = await gateway.flush({ waitMs: FLUSH_WAIT_MS });
  if (flushed.ok) {
    const { deltas } = flushed.value;
    if (deltas > 0) logger.log("info", "flush.done", { gateway: gateway.id, ...flushed.value });
    return;
  }
  const { code, message } = flushed.error;
  // Another instance is at it, or there is nowhere to flush to.
  const level = code === "CONFLICT" || code === "NOT_FOUND" ? "debug" : "error";
  logger.log(level, "flush.failed", { gateway: gateway.id, code, message });
}
