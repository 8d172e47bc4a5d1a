import {
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
import type { CheckpointStream } from "./checkpoints.ts";
import { type FlushedUpTo, Flusher, type FlushOptions, type FlushReport } from "./flush.ts";
import type {
  GatewayOptions,
  GatewayStats,
  IngestOptions,
  PreparedPush,
} from "./gateway_options.ts";
import { gatewayStats } from "./gateway_stats.ts";
import { ingest, type IngestReport } from "./ingest.ts";
import { KeptCheckpoints } from "./kept_checkpoints.ts";
import { DEFAULT_LIMITS, type GatewayLimits } from "./limits.ts";
import { type PageAnswer, type PageReader, PageSource } from "./page_source.ts";
import { PastEffects } from "./past_effects.ts";
import { parsePull } from "./pull.ts";
import { PushIntake } from "./push_intake.ts";
import { trimLog } from "./retention.ts";
import { Memberships } from "./memberships.ts";
import { RulesRegistry } from "./rules_registry.ts";
import { SchemaRegistry } from "./schema_registry.ts";
import { SourcePages } from "./source_pages.ts";
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
  readonly #flusher: Flusher;
  readonly #pushes: PushIntake;
  readonly #sources: SourcePages;
  readonly #stats: () => Promise<Result<GatewayStats>>;
  readonly #checkpoints: KeptCheckpoints;
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
    const {
      store,
      destinations = [],
      sources = [],
      random = systemRandom,
      scheduler = systemScheduler,
      logger = silentLogger,
      maintenance = () => undefined,
    } = options;
    const { schema, rules } = parts;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const memberships = new Memberships(store);
    const closing = this.#closing.signal;
    const judging = { store, schema, rules, memberships, limits };
    const making = { store, random, scheduler, logger };
    this.id = options.id;
    this.store = store;
    this.limits = limits;
    this.scheduler = scheduler;
    this.#schema = schema;
    this.#rules = rules;
    this.#logger = logger;
    this.#checkpoints = new KeptCheckpoints(options, { ...judging, ...making, closing });
    const flusher = new Flusher({ ...making, destinations, tables: () => this.schema() });
    this.#flusher = flusher;
    this.#pushes = new PushIntake(judging);
    this.#sources = new SourcePages(sources, { ...judging, closing });
    const past = new PastEffects(store);
    this.#pages = new PageSource({
      store,
      rules,
      past,
      memberships,
      wakeups: this.#wakeups,
      closing,
    });
    const told = { store, schema, scheduler, flusher, destinations, maintenance };
    this.#stats = () => gatewayStats(told);
    // Other instances append as well: the store tells of all of them.
    this.#unsubscribe = store.subscribe(() => this.#wakeups.wake());
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
  push(body: unknown, caller: Caller): Promise<Result<PushAnswer>> {
    return this.#pushes.push(body, caller);
  }

  /**
   * Decodes a push, for a router that has to know before it appends any of it.
   *
   * @param body The parsed JSON of its body.
   * @param caller Who sent it.
   * @returns What appends it; an error where all of it is refused.
   */
  preparePush(body: unknown, caller: Caller): Promise<Result<PreparedPush>> {
    return this.#pushes.prepare(body, caller);
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
    if (source !== null) return await this.#sources.pull(source, query, context);
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
  hasCheckpoint(
    query: URLSearchParams,
    context: { caller: Caller; tag: string },
  ): Promise<Result<boolean>> {
    return this.#checkpoints.has(query, context);
  }

  /**
   * Starts a checkpoint.
   *
   * @param query The URL's query.
   * @param context Who asks, and what ends the stream early.
   * @returns Its lines, which show one exact position of the log.
   */
  checkpoint(
    query: URLSearchParams,
    context: { caller: Caller; signal?: AbortSignal },
  ): Promise<Result<CheckpointStream>> {
    return this.#checkpoints.open(query, context);
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
  stats(): Promise<Result<GatewayStats>> {
    return this.#stats();
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
    await this.#checkpoints.close();
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
