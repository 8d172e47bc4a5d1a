import {
  type Destination,
  err,
  LakeSyncError,
  type Logger,
  type LogStore,
  ok,
  type PushAnswer,
  type Result,
  type Rules,
  type Scheduler,
  silentLogger,
  type Source,
  systemRandom,
  systemScheduler,
  type TableSchema,
} from "@lakesync/core";
import type { Caller } from "./caller.ts";
import { CheckpointCache } from "./checkpoint_cache.ts";
import { CheckpointObjects } from "./checkpoint_objects.ts";
import { checkpointView } from "./checkpoint_view.ts";
import { Checkpoints, type CheckpointStream } from "./checkpoints.ts";
import { destinationState } from "./destination_stats.ts";
import { type FlushedUpTo, Flusher, type FlushOptions, type FlushReport } from "./flush.ts";
import type {
  GatewayOptions,
  GatewayStats,
  IngestOptions,
  MaintenanceStats,
  PreparedPush,
} from "./gateway_options.ts";
import { ingest, type IngestReport } from "./ingest.ts";
import { DEFAULT_LIMITS, type GatewayLimits } from "./limits.ts";
import { type PageAnswer, type PageReader, PageSource } from "./page_source.ts";
import { PastEffects } from "./past_effects.ts";
import { noSuchSource, parsePull } from "./pull.ts";
import { appendPush, type DecodedPush, decodePush } from "./push.ts";
import { trimLog } from "./retention.ts";
import { Memberships } from "./memberships.ts";
import { RulesRegistry } from "./rules_registry.ts";
import { SchemaRegistry, type SchemaSet } from "./schema_registry.ts";
import { serverStamp } from "./server_clock.ts";
import { pullSource, sourceDigest } from "./source_pull.ts";
import { CallerView } from "./caller_view.ts";
import { bindRules } from "./joined_page.ts";
import type { GatewayService } from "./service.ts";
import { withWait } from "./wait.ts";
import { Wakeups } from "./wakeups.ts";

/**
 * Orders deltas durably and gives them out again. All that HTTP adds is in `createHandler`.
 *
 * @example A gateway in memory
 * ```ts
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { createGateway, memoryLogStore } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const gateway = unwrapOrThrow(await createGateway({ id: "default", store: memoryLogStore() }));
 * assertEquals(unwrapOrThrow(await gateway.stats()).head, 0);
 * await gateway.close();
 * ```
 */
export class Gateway implements GatewayService {
  /** Its id. */
  readonly id: string;
  /** Its state. Appending goes through the gateway; reading (an analyst's, say) may go past it. */
  readonly store: LogStore;
  /** How much it takes and gives at once. */
  readonly limits: GatewayLimits;
  readonly #schema: SchemaRegistry;
  readonly #rules: RulesRegistry;
  readonly #memberships: Memberships;
  readonly #flusher: Flusher;
  readonly #destinations: readonly Destination[];
  readonly #sources: ReadonlyMap<string, Source>;
  readonly #maintenance: () => MaintenanceStats | undefined;
  readonly #checkpoints: Checkpoints;
  readonly #checkpointCache: CheckpointCache | undefined;
  readonly #checkpointObjects: CheckpointObjects | undefined;
  /** Waiting. */
  readonly scheduler: Scheduler;
  readonly #logger: Logger;
  readonly #wakeups = new Wakeups();
  readonly #unsubscribe: () => void;
  readonly #closing = new AbortController();
  readonly #pages: PageSource;

  /** Use {@linkcode createGateway}. */
  constructor(
    options: GatewayOptions,
    parts: { schema: SchemaRegistry; rules: RulesRegistry },
  ) {
    this.id = options.id;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.store = options.store;
    this.#schema = parts.schema;
    this.#rules = parts.rules;
    this.#sources = new Map(options.sources?.map((source) => [source.name, source]));
    this.#maintenance = options.maintenance ?? (() => undefined);
    this.#memberships = new Memberships(options.store);
    this.scheduler = options.scheduler ?? systemScheduler;
    this.#logger = options.logger ?? silentLogger;
    const { checkpointCache, random = systemRandom } = options;
    this.#checkpointCache = checkpointCache &&
      new CheckpointCache(checkpointCache, {
        // An id may be "." or have a "~", a key's segment may not.
        prefix: `gateway-${this.id.replaceAll("~", "%7E")}`,
        random,
        scheduler: this.scheduler,
        logger: this.#logger,
      });
    const { checkpointObjects: objects } = options;
    this.#checkpointObjects = objects && new CheckpointObjects({
      objects,
      prefix: `gateway-${this.id.replaceAll("~", "%7E")}`,
      log: this.store,
      random,
      logger: this.#logger,
      closing: this.#closing.signal,
    });
    this.#checkpoints = new Checkpoints({
      objects: this.#checkpointObjects,
      store: this.store,
      cache: this.#checkpointCache,
      maxLag: this.limits.checkpointLag,
      closing: this.#closing.signal,
    });
    this.#flusher = new Flusher({
      store: options.store,
      destinations: options.destinations ?? [],
      tables: () => this.schema(),
      random: options.random ?? systemRandom,
      scheduler: this.scheduler,
      logger: this.#logger,
    });
    this.#destinations = options.destinations ?? [];
    this.#pages = new PageSource({
      store: options.store,
      rules: this.#rules,
      past: new PastEffects(options.store),
      memberships: this.#memberships,
      wakeups: this.#wakeups,
      closing: this.#closing.signal,
    });
    // Other instances append as well: the store tells of all of them.
    this.#unsubscribe = this.store.subscribe(() => this.#wakeups.wake());
  }

  /** The tables as far as this instance has seen them; {@linkcode Gateway.schema} asks the store. */
  get tables(): readonly TableSchema[] {
    return this.#schema.known.tables;
  }

  /** The tables of now, whichever instance they were put to. */
  async schema(): Promise<Result<readonly TableSchema[]>> {
    const current = await this.#schema.current();
    return current.ok ? ok(current.value.tables) : current;
  }

  /**
   * Takes a push.
   *
   * @param body The parsed JSON of its body.
   * @param caller Who sent it.
   * @returns The answer, once what it accepted is on stable storage; an error where all of it is
   * refused.
   */
  async push(body: unknown, caller: Caller): Promise<Result<PushAnswer>> {
    const prepared = await this.preparePush(body, caller);
    if (!prepared.ok) return prepared;
    const appended = await prepared.value.append();
    if (!appended.ok) return appended;
    const serverHlc = await serverStamp(this.store);
    if (!serverHlc.ok) return serverHlc;
    return ok({ ...appended.value, serverHlc: serverHlc.value });
  }

  /**
   * Decodes a push, for a router that has to know before it appends any of it.
   *
   * @param body The parsed JSON of its body.
   * @param caller Who sent it.
   * @returns What appends it; an error where all of it is refused.
   */
  async preparePush(body: unknown, caller: Caller): Promise<Result<PreparedPush>> {
    const decoded = await this.#decode(body, caller);
    if (!decoded.ok) return decoded;
    return ok({
      append: ({ late = false } = {}) =>
        appendPush(this.store, decoded.value, {
          limits: this.limits,
          rules: this.#rules,
          memberships: this.#memberships,
          late,
        }),
    });
  }

  async #decode(body: unknown, caller: Caller): Promise<Result<DecodedPush>> {
    const decodeBy = ({ index, version }: SchemaSet) =>
      decodePush(body, { caller, tables: index, schemaVersion: version, limits: this.limits });
    const { known } = this.#schema;
    const decoded = decodeBy(known);
    if (!blamesSchema(decoded)) return decoded;
    // Another instance may have been given a newer schema.
    const current = await this.#schema.current();
    if (!current.ok) return current;
    return current.value === known ? decoded : decodeBy(current.value);
  }

  /**
   * Answers a pull; holds it where it asks for that and there is nothing.
   *
   * @param query The URL's query.
   * @param context Who asks, and the request's signal.
   * @returns The page; what is wrong with the query, `CHECKPOINT_REQUIRED`, or the store's error.
   */
  async pull(
    query: URLSearchParams,
    context: { caller: Caller; signal?: AbortSignal },
  ): Promise<Result<PageAnswer>> {
    const source = query.get("source");
    if (source !== null) return await this.#pullSource(source, query, context);
    const parsed = parsePull(query, { caller: context.caller, limits: this.limits });
    if (!parsed.ok) return parsed;
    const { wait } = parsed.value;
    const reader = await this.#pages.open(parsed.value, { maxBytes: this.limits.pageBytes });
    if (!reader.ok) return reader;
    return await withWait(reader.value, {
      ms: wait * 1000,
      scheduler: this.scheduler,
      ends: [this.#closing.signal, ...(context.signal === undefined ? [] : [context.signal])],
    });
  }

  async #pullSource(
    name: string,
    query: URLSearchParams,
    context: { caller: Caller; signal?: AbortSignal },
  ): Promise<Result<PageAnswer>> {
    const source = this.#sources.get(name);
    if (source === undefined) return noSuchSource();
    const pull = new URLSearchParams(query);
    pull.delete("source");
    const params = parsePull(pull, { caller: context.caller, limits: this.limits });
    if (!params.ok) return params;
    const view = await CallerView.open(this.#rules, params.value);
    if (!view.ok) return view;
    const head = await this.store.head();
    if (!head.ok) return head;
    const rules = await bindRules(view.value.rules, head.value.seq, this.#memberships);
    if (!rules.ok) return rules;
    const schema = await this.#schema.current();
    if (!schema.ok) return schema;
    const ends = [this.#closing.signal, ...(context.signal === undefined ? [] : [context.signal])];
    const page = await pullSource(source, {
      params: params.value,
      digest: sourceDigest(name, view.value.digest),
      rules: rules.value,
      tables: schema.value.index,
      store: this.store,
      maxBytes: this.limits.pageBytes,
      signal: AbortSignal.any(ends),
    });
    // Looked at afterwards, as for pages of the log.
    const stands = page.ok ? await view.value.stands() : page;
    return stands.ok ? page : stands;
  }

  /**
   * Opens a stream of pages, for SSE and WebSockets.
   *
   * @param query The URL's query, or one that was made of a message.
   * @param context Who asks.
   * @returns The pages, smaller ones than a pull's; what is wrong with the query,
   * `CHECKPOINT_REQUIRED`, or the store's error.
   */
  async follow(
    query: URLSearchParams,
    context: { caller: Caller },
  ): Promise<Result<PageReader>> {
    const parsed = parsePull(query, { caller: context.caller, limits: this.limits });
    if (!parsed.ok) return parsed;
    const { pageBytes, sendBytes } = this.limits;
    return await this.#pages.open(parsed.value, { maxBytes: Math.min(pageBytes, sendBytes) });
  }

  /**
   * Tells whether a caller that still has a checkpoint needs no other one.
   *
   * @param query The URL's query.
   * @param context Who asks, and the tag of what it has.
   * @returns Whether it does.
   */
  async hasCheckpoint(
    query: URLSearchParams,
    context: { caller: Caller; tag: string },
  ): Promise<Result<boolean>> {
    const asked = await this.#asked(query, context.caller);
    if (!asked.ok) return asked;
    const { view, atLeast } = asked.value;
    return await this.#checkpoints.isUnchanged(view, { atLeast, tag: context.tag });
  }

  #asked(query: URLSearchParams, caller: Caller): ReturnType<typeof checkpointView> {
    return checkpointView(query, {
      caller,
      limits: this.limits,
      schema: () => this.schema(),
      rules: this.#rules,
      memberships: this.#memberships,
    });
  }

  /**
   * Starts a checkpoint.
   *
   * @param query The URL's query.
   * @param context Who asks, and what ends the stream early.
   * @returns Its lines, which show one exact position of the log.
   */
  async checkpoint(
    query: URLSearchParams,
    context: { caller: Caller; signal?: AbortSignal },
  ): Promise<Result<CheckpointStream>> {
    const asked = await this.#asked(query, context.caller);
    if (!asked.ok) return asked;
    const { view, atLeast } = asked.value;
    return await this.#checkpoints.open(view, { atLeast, signal: context.signal });
  }

  /**
   * Takes the log to the destinations, then trims what they all have and what is old enough. The first
   * destination is waited for; the others follow, each at its own pace.
   *
   * @param options Its signal, and how long the others are waited for, too.
   * @returns What it did; what the first destination failed with.
   */
  async flush(options: FlushOptions = {}): Promise<Result<FlushReport>> {
    const flushed = await this.#flusher.flush(options);
    const trimmed = await this.trim();
    return trimmed.ok ? flushed : trimmed;
  }

  /**
   * Trims the log: what is older than the retention time and what every destination has that is not
   * further behind than its allowed lag. Every flush does it; without destinations this alone does.
   *
   * @returns The seq up to which the log is trimmed.
   */
  async trim(): Promise<Result<number>> {
    const destinations = await this.#flusher.flushedSeqs();
    if (!destinations.ok) return destinations;
    const { limits } = this;
    return await trimLog(this.store, {
      destinations: destinations.value,
      limits,
      logger: this.#logger,
    });
  }

  /**
   * How far a destination was when a flush to it last ended: what an analyst needs to know which
   * deltas are pending.
   *
   * @param destination Its name.
   * @returns The last seq and each table's watermark then; `NOT_FOUND` where there is no such
   * destination, or the store's error.
   */
  async flushedUpTo(destination: string): Promise<Result<FlushedUpTo>> {
    return await this.#flusher.flushedUpTo(destination) ??
      err(
        new LakeSyncError("NOT_FOUND", `There is no destination "${destination}": check its name`),
      );
  }

  /**
   * Replaces the tables.
   *
   * @param value `{ tables: [schema, …] }` from outside, always the whole set.
   * @returns The tables; `VALIDATION_ERROR` for a bad form, `CONFLICT` where they narrow.
   */
  putSchema(value: unknown): Promise<Result<readonly TableSchema[]>> {
    return this.#schema.put(value);
  }

  /** The rules of now; undefined where there are none, so that everybody sees everything. */
  async rules(): Promise<Result<Rules | undefined>> {
    const current = await this.#rules.current();
    return current.ok ? ok(current.value?.rules) : current;
  }

  /**
   * Replaces the rules. Callers that may see something else by the new ones get
   * `CHECKPOINT_REQUIRED`, also where a stream is under way; the others notice nothing.
   *
   * @param value The rules from outside.
   * @returns The rules; `VALIDATION_ERROR` that names the path of a fault.
   */
  async putRules(value: unknown): Promise<Result<Rules>> {
    const schema = await this.#schema.current();
    return schema.ok ? await this.#rules.put(value, schema.value.index) : schema;
  }

  /** What an operator sees. */
  async stats(): Promise<Result<GatewayStats>> {
    const stats = await this.store.stats();
    if (!stats.ok) return stats;
    const seqs = await this.#flusher.flushedSeqs();
    if (!seqs.ok) return seqs;
    const schema = await this.schema();
    if (!schema.ok) return schema;
    const { head, trimmed, rows, clients } = stats.value;
    const tables = schema.value.map(({ table }) =>
      [table, { rows: rows.get(table) ?? 0 }] as const
    );
    const failures = this.#flusher.failures();
    const destinations = await Promise.all(this.#destinations.map(async (destination) => {
      const { name } = destination;
      const flushedSeq = seqs.value.get(name)!;
      const failure = failures.get(name);
      const of = { flushedSeq, head, trimmed, failure, scheduler: this.scheduler };
      return [name, await destinationState(destination, of)] as const;
    }));
    const maintenance = this.#maintenance();
    const flushedSeq = seqs.value.size === 0 ? 0 : Math.min(...seqs.value.values());
    return ok({
      head,
      flushedSeq,
      trimmedSeq: trimmed,
      lag: head - flushedSeq,
      destinations: Object.fromEntries(destinations),
      tables: Object.fromEntries(tables),
      clients,
      epoch: this.store.epoch,
      ...(maintenance !== undefined && { maintenance }),
    });
  }

  /**
   * Reads a source to its end into the log, going on where it stood.
   *
   * @param source The source.
   * @param options Progress and signal.
   * @returns What was taken in.
   */
  ingest(source: Source, options: IngestOptions = {}): Promise<Result<IngestReport>> {
    return ingest(source, {
      store: this.store,
      tables: async () => {
        const current = await this.#schema.current();
        return current.ok ? ok(current.value.index) : current;
      },
      rules: this.#rules,
      onBatch: (report) => options.onBatch?.(report),
      signal: options.signal,
    });
  }

  /** Whether the store answers. */
  async ready(): Promise<Result<void>> {
    if (this.#closing.signal.aborted) {
      return err(new LakeSyncError("SHUTTING_DOWN", "The gateway is shutting down"));
    }
    const head = await this.store.head();
    return head.ok ? ok(undefined) : head;
  }

  /** Ends held pulls and open checkpoints at once; pushes and pulls go on until `close`. */
  endStreams(): void {
    this.#closing.abort(new LakeSyncError("SHUTTING_DOWN", "The gateway is shutting down"));
    this.#wakeups.wake();
  }

  /** Closes the gateway and its store. What was acknowledged is safe without it. */
  async close(): Promise<void> {
    this.endStreams();
    this.#unsubscribe();
    await this.#checkpointCache?.close();
    await this.#checkpointObjects?.settled();
    await this.#flusher.close();
    await this.store.close();
  }
}

/**
 * Makes a gateway over a store.
 *
 * @param options The store, the tables, the destinations.
 * @returns The gateway; the store's error, or why the tables cannot replace the stored ones.
 *
 * @example A gateway with a table
 * ```ts
 * import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { createGateway, memoryLogStore } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const notes = defineTable("notes", { text: string() });
 * const gateway = unwrapOrThrow(
 *   await createGateway({ id: "default", store: memoryLogStore(), tables: [notes.schema] }),
 * );
 * assertEquals(gateway.tables, [notes.schema]);
 * await gateway.close();
 * ```
 */
export async function createGateway(options: GatewayOptions): Promise<Result<Gateway>> {
  const { id, store, tables, rules } = options;
  if (!/^[A-Za-z0-9._~-]{1,64}$/.test(id)) {
    throw new TypeError(
      `Cannot name a gateway "${id}": take 1 to 64 letters, digits, ".", "_", "~" or "-"`,
    );
  }
  const schema = await SchemaRegistry.open(store);
  if (!schema.ok) return schema;
  if (
    tables !== undefined && JSON.stringify(tables) !== JSON.stringify(schema.value.known.tables)
  ) {
    const put = await schema.value.put({ tables });
    if (!put.ok) return put;
  }
  const registry = new RulesRegistry(store);
  if (rules !== undefined) {
    const put = await registry.put(rules, schema.value.known.index);
    if (!put.ok) return put;
  }
  return ok(new Gateway(options, { schema: schema.value, rules: registry }));
}

/** Whether a push is refused for a reason that a newer schema may take away. */
function blamesSchema(decoded: Result<DecodedPush>): boolean {
  if (!decoded.ok) return decoded.error.code === "CONFLICT";
  return decoded.value.deltas.some(({ fault }) => fault?.code === "SCHEMA_ERROR");
}
