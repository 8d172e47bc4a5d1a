import {
  checkEvolution,
  err,
  indexTables,
  LakeSyncError,
  ok,
  parseRules,
  parseTableSchemas,
  type PushAnswer,
  type Result,
  type Rules,
  type TableSchema,
} from "@lakesync/core";
import type { Caller } from "./caller.ts";
import type { CheckpointStream } from "./checkpoints.ts";
import { type DestinationState, joinedState } from "./destination_stats.ts";
import type { FlushOptions } from "./flush.ts";
import type { Gateway } from "./gateway.ts";
import type { GatewayStats, MaintenanceStats } from "./gateway_options.ts";
import type { GatewayLimits } from "./limits.ts";
import type { PageAnswer, PageReader } from "./page_source.ts";
import { parsePull } from "./pull.ts";
import { readPushHead } from "./push.ts";
import { joinCheckpoints } from "./router_checkpoint.ts";
import { parseRouterCursor } from "./router_cursor.ts";
import { RouterPages } from "./router_pages.ts";
import { pushThrough } from "./router_push.ts";
import { crossShardFault, rulesOf } from "./router_rules.ts";
import { type Shard, Shards } from "./router_shards.ts";
import type { GatewayService, Pages, ServiceFlush, ServiceStats } from "./service.ts";
import { withWait } from "./wait.ts";
import { Wakeups } from "./wakeups.ts";

/** Options of {@linkcode createRouter}. */
export interface RouterOptions {
  /** The `{gw}` of its routes: what clients call it. */
  id: string;
  /** Gateways that have tables of their own. */
  shards: readonly Shard[];
  /** The gateway of all other tables. Its limits and its clock are the router's. */
  default: Gateway;
}

/** Where the rules are kept whole: each shard has only its part. */
const RULES_KEY = "router.rules";

/**
 * Splits one gateway's tables over several gateways, each with a log of its own. Clients notice
 * nothing, but that a transaction over tables of two shards is rejected.
 */
class Router implements GatewayService {
  readonly id: string;
  readonly #shards: Shards;
  readonly #wakeups = new Wakeups();
  readonly #unsubscribe: readonly (() => void)[];
  readonly #closing = new AbortController();

  constructor(id: string, shards: Shards) {
    this.id = id;
    this.#shards = shards;
    this.#unsubscribe = shards.gateways.map(({ store }) =>
      store.subscribe(() => this.#wakeups.wake())
    );
  }

  get limits(): GatewayLimits {
    return this.#shards.rest.limits;
  }

  async push(body: unknown, caller: Caller): Promise<Result<PushAnswer>> {
    const schema = await this.schema();
    if (!schema.ok) return schema;
    const schemaVersion = schema.value.reduce((most, { version }) => Math.max(most, version), 0);
    const head = readPushHead(body, { caller, schemaVersion, limits: this.limits });
    return head.ok ? await pushThrough(head.value, { shards: this.#shards, caller }) : head;
  }

  async pull(
    query: URLSearchParams,
    context: { caller: Caller; signal?: AbortSignal },
  ): Promise<Result<PageAnswer>> {
    const { caller, signal } = context;
    const parsed = parsePull(query, { caller, limits: this.limits });
    if (!parsed.ok) return parsed;
    const pages = await this.#open(query, { caller, maxBytes: this.limits.pageBytes });
    if (!pages.ok) return pages;
    return await withWait(pages.value, {
      ms: parsed.value.wait * 1000,
      scheduler: this.#shards.rest.scheduler,
      ends: [this.#closing.signal, ...(signal === undefined ? [] : [signal])],
    });
  }

  async follow(
    query: URLSearchParams,
    { caller }: { caller: Caller },
  ): Promise<Result<Pages>> {
    const { pageBytes, sendBytes } = this.limits;
    return await this.#open(query, { caller, maxBytes: Math.min(pageBytes, sendBytes) });
  }

  async #open(
    query: URLSearchParams,
    { caller, maxBytes }: { caller: Caller; maxBytes: number },
  ): Promise<Result<RouterPages>> {
    const shards = this.#shards;
    const parsed = parsePull(query, { caller, limits: this.limits });
    if (!parsed.ok) return parsed;
    const cursor = parseRouterCursor(parsed.value.cursor, shards);
    if (!cursor.ok) return cursor;
    const readers: (PageReader | undefined)[] = [];
    for (const [index, gateway] of shards.gateways.entries()) {
      const part = this.#part(query, index);
      part?.set("cursor", cursor.value.shards[index]!);
      const reader = part === undefined ? undefined : await gateway.follow(part, { caller });
      if (reader?.ok === false) return reader;
      readers.push(reader?.value);
    }
    return ok(
      new RouterPages({
        shards,
        readers,
        cursors: cursor.value.shards,
        turn: cursor.value.turn,
        limit: parsed.value.limit,
        tellHead: parsed.value.tellHead,
        maxBytes,
        wakeups: this.#wakeups,
      }),
    );
  }

  /** What a shard is asked; undefined where none of its tables is. */
  #part(query: URLSearchParams, index: number): URLSearchParams | undefined {
    const part = new URLSearchParams(query);
    const asked = query.get("tables")?.split(",").filter((table) => table !== "");
    if (asked === undefined || asked.length === 0) return part;
    const tables = this.#shards.tablesOf(index, asked);
    part.set("tables", tables.join());
    return tables.length === 0 ? undefined : part;
  }

  async hasCheckpoint(
    query: URLSearchParams,
    { caller, tag }: { caller: Caller; tag: string },
  ): Promise<Result<boolean>> {
    const tags = tag.split("~");
    if (tags.length !== this.#shards.gateways.length) return ok(false);
    for (const [index, gateway] of this.#shards.gateways.entries()) {
      const part = this.#part(query, index);
      if (part === undefined) continue;
      const has = await gateway.hasCheckpoint(part, { caller, tag: tags[index]! });
      if (!has.ok || !has.value) return has;
    }
    return ok(true);
  }

  async checkpoint(
    query: URLSearchParams,
    context: { caller: Caller; signal?: AbortSignal },
  ): Promise<Result<CheckpointStream>> {
    const streams: (CheckpointStream | undefined)[] = [];
    const heads: (number | undefined)[] = [];
    for (const [index, gateway] of this.#shards.gateways.entries()) {
      const part = this.#part(query, index);
      const stream = part === undefined ? undefined : await gateway.checkpoint(part, context);
      const head = part === undefined ? await gateway.store.head() : undefined;
      const failed = stream?.ok === false ? stream : head?.ok === false ? head : undefined;
      if (failed !== undefined) {
        for (const opened of streams) await opened?.lines.return(undefined);
        return failed;
      }
      streams.push(stream?.ok === true ? stream.value : undefined);
      heads.push(head?.ok === true ? head.value.seq : undefined);
    }
    const joined = joinCheckpoints(streams.map((stream) => stream?.lines), {
      shards: this.#shards,
      heads,
    });
    const end = joined.return.bind(joined);
    joined.return = async (value) => {
      const ended = await end(value);
      // A generator that never began does not run its `finally`.
      for (const stream of streams) await stream?.lines.return(undefined);
      return ended;
    };
    return ok({
      tag: streams.map((stream) => stream?.tag ?? "").join("~"),
      lines: joined,
      gzip: undefined,
      rows: streams.reduce<number | undefined>(
        (sum, stream) => stream === undefined ? sum : addRows(sum, stream.rows),
        0,
      ),
    });
  }

  async flush(options: FlushOptions = {}): Promise<Result<ServiceFlush>> {
    const reports = await Promise.all(
      this.#shards.gateways.map((gateway) => gateway.flush(options)),
    );
    const failed = reports.find((report) => !report.ok);
    if (failed?.ok === false) return failed;
    const done = reports.flatMap((report) => report.ok ? [report.value] : []);
    return ok({
      flushedSeq: this.#shards.seq(done.map(({ flushedSeq }) => flushedSeq)),
      deltas: done.reduce((sum, { deltas }) => sum + deltas, 0),
      objects: done.reduce((sum, { objects }) => sum + objects, 0),
    });
  }

  async schema(): Promise<Result<readonly TableSchema[]>> {
    const all: TableSchema[] = [];
    for (const gateway of this.#shards.gateways) {
      const tables = await gateway.schema();
      if (!tables.ok) return tables;
      all.push(...tables.value);
    }
    return ok(all);
  }

  async putSchema(value: unknown): Promise<Result<readonly TableSchema[]>> {
    const given = typeof value === "object" && value !== null && "tables" in value
      ? value.tables
      : undefined;
    const tables = parseTableSchemas(given, "tables");
    if (!tables.ok) return tables;
    const parts = this.#shards.gateways.map((_, index) =>
      tables.value.filter(({ table }) => this.#shards.indexOf(table) === index)
    );
    // All are judged before the first is changed.
    for (const [index, gateway] of this.#shards.gateways.entries()) {
      const present = await gateway.schema();
      if (!present.ok) return present;
      const allowed = checkEvolution(present.value, parts[index]!);
      if (!allowed.ok) return allowed;
    }
    for (const [index, gateway] of this.#shards.gateways.entries()) {
      const put = await gateway.putSchema({ tables: parts[index]! });
      if (!put.ok) return put;
    }
    return tables;
  }

  async rules(): Promise<Result<Rules | undefined>> {
    const stored = await this.#shards.rest.store.getValue(RULES_KEY);
    if (!stored.ok) return stored;
    return ok(stored.value === undefined ? undefined : JSON.parse(stored.value) as Rules);
  }

  async putRules(value: unknown): Promise<Result<Rules>> {
    const schema = await this.schema();
    if (!schema.ok) return schema;
    const rules = parseRules(value, { tables: indexTables(schema.value) });
    if (!rules.ok) return rules;
    const fault = crossShardFault(rules.value, this.#shards);
    if (fault !== undefined) return err(fault);
    for (const [index, gateway] of this.#shards.gateways.entries()) {
      const put = await gateway.putRules(rulesOf(rules.value, this.#shards, index));
      if (!put.ok) return put;
    }
    const stored = await this.#shards.rest.store.setValue(RULES_KEY, JSON.stringify(rules.value));
    return stored.ok ? rules : stored;
  }

  async stats(): Promise<Result<ServiceStats>> {
    const all = [];
    for (const gateway of this.#shards.gateways) {
      const stats = await gateway.stats();
      if (!stats.ok) return stats;
      all.push(stats.value);
    }
    return ok({
      head: this.#shards.seq(all.map(({ head }) => head)),
      flushedSeq: this.#shards.seq(all.map(({ flushedSeq }) => flushedSeq)),
      trimmedSeq: this.#shards.seq(all.map(({ trimmedSeq }) => trimmedSeq)),
      lag: all.reduce((sum, { lag }) => sum + lag, 0),
      destinations: this.#destinations(all),
      tables: Object.fromEntries(all.flatMap(({ tables }) => Object.entries(tables))),
      // The same clients push to several shards.
      clients: Math.max(...all.map(({ clients }) => clients)),
      ...maintenanceOf(all.flatMap(({ maintenance }) => maintenance ?? [])),
    });
  }

  /** How the destinations of all shards are, by name. */
  #destinations(all: readonly GatewayStats[]): NonNullable<ServiceStats["destinations"]> {
    const byName = new Map<string, Map<string, DestinationState>>();
    for (const [index, { destinations }] of all.entries()) {
      const { id } = this.#shards.gateways[index]!;
      for (const [name, state] of Object.entries(destinations)) {
        if (!byName.has(name)) byName.set(name, new Map());
        byName.get(name)!.set(id, state);
      }
    }
    return Object.fromEntries(
      Array.from(byName, ([name, shards]) => [name, joinedState(shards)]),
    );
  }

  async ready(): Promise<Result<void>> {
    if (this.#closing.signal.aborted) {
      return err(new LakeSyncError("SHUTTING_DOWN", "The gateway is shutting down"));
    }
    for (const gateway of this.#shards.gateways) {
      const ready = await gateway.ready();
      if (!ready.ok) return ready;
    }
    return ok(undefined);
  }

  endStreams(): void {
    this.#closing.abort(new LakeSyncError("SHUTTING_DOWN", "The gateway is shutting down"));
    for (const gateway of this.#shards.gateways) gateway.endStreams();
    this.#wakeups.wake();
  }

  async close(): Promise<void> {
    this.endStreams();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await Promise.all(this.#shards.gateways.map((gateway) => gateway.close()));
  }
}

/**
 * Splits one gateway's tables over several gateways by table. A push is dealt out, a transaction over
 * two shards rejected (`TX_REJECTED`); pulls are merged, under a cursor that holds the positions of
 * all shards; admin calls go to all of them.
 *
 * @param options The shards, and the gateway of all other tables.
 * @returns What `createHandler` serves like a gateway. A table that two shards have, or two gateways
 * of one id, throw a `TypeError`.
 *
 * @example Orders have a log of their own
 * ```ts
 * import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { createGateway, createRouter, memoryLogStore } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const gateway = async (id: string) =>
 *   unwrapOrThrow(await createGateway({ id, store: memoryLogStore() }));
 * const router = createRouter({
 *   id: "shop",
 *   shards: [{ tables: ["orders"], gateway: await gateway("shop-orders") }],
 *   default: await gateway("shop-rest"),
 * });
 * const tables = [defineTable("orders", { item: string() }), defineTable("users", { name: string() })];
 * unwrapOrThrow(await router.putSchema({ tables: tables.map(({ schema }) => schema) }));
 * assertEquals(unwrapOrThrow(await router.stats()).head, { "shop-orders": 0, "shop-rest": 0 });
 * await router.close();
 * ```
 */
export function createRouter(options: RouterOptions): GatewayService {
  return new Router(options.id, new Shards(options.shards, options.default));
}

/** Two counts as one; undefined where one of them is not known. */
function addRows(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a + b;
}

/** How the lakes of all shards are kept, as one. */
function maintenanceOf(
  shards: readonly MaintenanceStats[],
): { maintenance?: MaintenanceStats } {
  if (shards.length === 0) return {};
  const ends = shards.flatMap(({ lastEndedAt }) => lastEndedAt ?? []).sort();
  const took = shards.flatMap(({ lastMs }) => lastMs ?? []);
  return {
    maintenance: {
      runs: Math.min(...shards.map(({ runs }) => runs)),
      failures: shards.reduce((sum, { failures }) => sum + failures, 0),
      running: shards.some(({ running }) => running),
      lastEndedAt: ends.at(-1) ?? null,
      lastMs: took.length === 0 ? null : took.reduce((sum, ms) => sum + ms, 0),
    },
  };
}
