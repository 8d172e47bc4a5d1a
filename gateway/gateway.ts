import {
  type Clock,
  type Destination,
  err,
  type Hlc,
  LakeSyncError,
  type Logger,
  type LogPosition,
  type LogStore,
  ok,
  type PushAnswer,
  type Random,
  type Result,
  type Scheduler,
  silentLogger,
  type Source,
  systemClock,
  systemRandom,
  systemScheduler,
  type TableSchema,
} from "@lakesync/core";
import type { Caller } from "./caller.ts";
import { checkpointLines } from "./checkpoint.ts";
import { formatCursor, resolveCursor } from "./cursor.ts";
import { type FlushedUpTo, Flusher, type FlushReport } from "./flush.ts";
import { ingest, type IngestReport } from "./ingest.ts";
import { DEFAULT_LIMITS, type GatewayLimits } from "./limits.ts";
import { type Page, readPage } from "./page.ts";
import { parsePull, type PullParams, viewDigest } from "./pull.ts";
import { appendPush, decodePush } from "./push.ts";
import { SchemaRegistry } from "./schema_registry.ts";
import { ServerClock } from "./server_clock.ts";
import { Wakeups } from "./wakeups.ts";

/** Options of {@linkcode createGateway}. */
export interface GatewayOptions {
  /** The gateway's id: the `{gw}` of its routes. */
  id: string;
  /** Its state. The gateway closes it. */
  store: LogStore;
  /**
   * Its tables. They replace the stored ones by the same rules as `PUT /schema`.
   *
   * @default {undefined} the stored ones
   */
  tables?: readonly TableSchema[];
  /**
   * Where its log is flushed to.
   *
   * @default {[]}
   */
  destinations?: readonly Destination[];
  /**
   * How much it takes and gives at once.
   *
   * @default {{}} PROTOCOL's limits
   */
  limits?: Partial<GatewayLimits>;
  /**
   * Physical time.
   *
   * @default {systemClock}
   */
  clock?: Clock;
  /**
   * Waiting.
   *
   * @default {systemScheduler}
   */
  scheduler?: Scheduler;
  /**
   * Chance.
   *
   * @default {systemRandom}
   */
  random?: Random;
  /**
   * Where its log lines go.
   *
   * @default {silentLogger}
   */
  logger?: Logger;
}

/** What an operator sees of a gateway. */
export interface GatewayStats {
  /** The last seq of the log. */
  readonly head: number;
  /** Every destination has everything up to this seq. */
  readonly flushedSeq: number;
  /** The log begins behind this seq. */
  readonly trimmedSeq: number;
  /** How many entries are not flushed. */
  readonly lag: number;
  /** The tables and their visible rows. */
  readonly tables: { readonly [table: string]: { readonly rows: number } };
  /** How many clients have pushed. */
  readonly clients: number;
  /** The id of the store. */
  readonly epoch: string;
}

/** Options of {@linkcode Gateway.ingest}. */
export interface IngestOptions {
  /**
   * Called after each batch.
   *
   * @default {() => {}}
   */
  onBatch?: (report: IngestReport) => void;
  /** Stops between batches. */
  signal?: AbortSignal;
}

/** A checkpoint that is being streamed. */
export interface CheckpointStream {
  /** Texts of whole NDJSON lines. Must be read to the end or returned from. */
  readonly lines: AsyncGenerator<string>;
}

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
export class Gateway {
  /** Its id. */
  readonly id: string;
  /** Its state. Appending goes through the gateway; reading (an analyst's, say) may go past it. */
  readonly store: LogStore;
  /** How much it takes and gives at once. */
  readonly limits: GatewayLimits;
  readonly #schema: SchemaRegistry;
  readonly #clock: ServerClock;
  readonly #flusher: Flusher;
  readonly #scheduler: Scheduler;
  readonly #wall: Clock;
  readonly #logger: Logger;
  readonly #wakeups = new Wakeups();
  readonly #closing = new AbortController();

  /** Use {@linkcode createGateway}. */
  constructor(options: GatewayOptions, parts: { schema: SchemaRegistry; clock: ServerClock }) {
    this.id = options.id;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.store = options.store;
    this.#schema = parts.schema;
    this.#clock = parts.clock;
    this.#scheduler = options.scheduler ?? systemScheduler;
    this.#wall = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    this.#flusher = new Flusher({
      store: options.store,
      destinations: options.destinations ?? [],
      tables: () => this.#schema.tables,
      random: options.random ?? systemRandom,
      logger: this.#logger,
    });
  }

  /** The tables. */
  get tables(): readonly TableSchema[] {
    return this.#schema.tables;
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
    const decoded = decodePush(body, {
      caller,
      tables: this.#schema.index,
      schemaVersion: this.#schema.version,
      limits: this.limits,
    });
    if (!decoded.ok) return decoded;
    const appended = await appendPush(this.store, decoded.value, {
      wallMs: () => this.#clock.wallMs(),
      limits: this.limits,
    });
    if (!appended.ok) return appended;
    if (appended.value.grew) this.#wakeups.wake();
    const serverHlc = await this.#clock.now();
    if (!serverHlc.ok) return serverHlc;
    return ok({ ...appended.value.answer, serverHlc: serverHlc.value });
  }

  /**
   * Answers a pull; holds it where it asks for that and there is nothing.
   *
   * @param query The URL's query.
   * @param context Who asks, and the request's signal.
   * @returns The JSON text of a `PullAnswer`. (Text: most items pass through as the log has them.)
   */
  async pull(
    query: URLSearchParams,
    context: { caller: Caller; signal?: AbortSignal },
  ): Promise<Result<string>> {
    const parsed = parsePull(query, { caller: context.caller, limits: this.limits });
    if (!parsed.ok) return parsed;
    const params = parsed.value;
    const digest = viewDigest(params);
    const start = await resolveCursor(params.cursor, { store: this.store, digest });
    if (!start.ok) return start;
    const page = await this.#pageOrWait(params, start.value, context.signal);
    if (!page.ok) return page;
    const serverHlc = await this.#clock.now();
    if (!serverHlc.ok) return serverHlc;
    const { items, position, hasMore } = page.value;
    const cursor = formatCursor({ epoch: this.store.epoch, position, digest });
    return ok(
      `{"deltas":[${items.join(",")}],"cursor":"${cursor}","seq":${position.seq},` +
        `"hasMore":${hasMore},"serverHlc":"${serverHlc.value}"}`,
    );
  }

  async #pageOrWait(
    params: PullParams,
    start: LogPosition,
    signal: AbortSignal | undefined,
  ): Promise<Result<Page>> {
    const filter = {
      own: params.own ? params.clientId : undefined,
      tables: params.tables === undefined ? undefined : new Set(params.tables),
    };
    const size = { limit: params.limit, maxBytes: this.limits.pageBytes };
    const answered = new AbortController();
    const ends = AbortSignal.any([
      answered.signal,
      this.#closing.signal,
      ...(signal === undefined ? [] : [signal]),
    ]);
    // One delay for the whole wait; it ends early with the request or the gateway.
    const over = params.wait > 0
      ? this.#scheduler.delay(params.wait * 1000, { signal: ends }).then(() => "over" as const)
      : Promise.resolve("over" as const);
    try {
      for (let position = start;;) {
        const wakeup = this.#wakeups.next();
        try {
          const page = await readPage(this.store, position, { filter, size });
          if (!page.ok || page.value.items.length > 0 || page.value.hasMore) return page;
          position = page.value.position;
          const first = await Promise.race([wakeup.woken.then(() => "woken" as const), over]);
          if (first === "over") return page;
        } finally {
          wakeup.forget();
        }
      }
    } finally {
      answered.abort();
    }
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
    const parsed = parsePull(query, { caller: context.caller, limits: this.limits });
    if (!parsed.ok) return parsed;
    const snapshot = await this.store.snapshot();
    if (!snapshot.ok) return snapshot;
    const { position } = snapshot.value;
    const cursor = formatCursor({
      epoch: this.store.epoch,
      position,
      digest: viewDigest(parsed.value),
    });
    const names = this.#schema.tables.map(({ table }) => table);
    const asked = parsed.value.tables;
    const tables = asked === undefined ? names : names.filter((name) => asked.includes(name));
    const signal = context.signal === undefined
      ? this.#closing.signal
      : AbortSignal.any([this.#closing.signal, context.signal]);
    return ok({ lines: checkpointLines(snapshot.value, { cursor, tables, signal }) });
  }

  /**
   * Takes the log to the destinations, then trims what they all have and what is old enough.
   *
   * @param options Its signal.
   * @returns What it did.
   */
  async flush(options: { signal?: AbortSignal } = {}): Promise<Result<FlushReport>> {
    const flushed = await this.#flusher.flush(options);
    if (!flushed.ok) return flushed;
    const old = await this.store.seqBefore(this.#wall.now() - this.limits.retentionMs);
    if (!old.ok) return old;
    const through = Math.min(old.value, flushed.value.flushedSeq);
    const trimmed = await this.store.trim({ through });
    return trimmed.ok ? flushed : trimmed;
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

  /** What an operator sees. */
  async stats(): Promise<Result<GatewayStats>> {
    const stats = await this.store.stats();
    if (!stats.ok) return stats;
    const flushedSeq = await this.#flusher.flushedSeq();
    if (!flushedSeq.ok) return flushedSeq;
    const { head, trimmed, rows, clients } = stats.value;
    const tables = this.#schema.tables.map(({ table }) =>
      [table, { rows: rows.get(table) ?? 0 }] as const
    );
    return ok({
      head,
      flushedSeq: flushedSeq.value,
      trimmedSeq: trimmed,
      lag: head - flushedSeq.value,
      tables: Object.fromEntries(tables),
      clients,
      epoch: this.store.epoch,
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
      tables: () => this.#schema.index,
      stamp: (): Promise<Result<Hlc>> => this.#clock.now(),
      onBatch: (report) => {
        this.#wakeups.wake();
        options.onBatch?.(report);
      },
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
  }

  /** Closes the gateway and its store. What was acknowledged is safe without it. */
  async close(): Promise<void> {
    this.endStreams();
    const stored = await this.#clock.close();
    if (!stored.ok && stored.error.code !== "CLOSED") {
      this.#logger.log("warn", "clock.not-stored", { code: stored.error.code });
    }
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
  const { id, store, tables, clock = systemClock } = options;
  if (!/^[A-Za-z0-9._~-]{1,64}$/.test(id)) {
    throw new TypeError(
      `Cannot name a gateway "${id}": take 1 to 64 letters, digits, ".", "_", "~" or "-"`,
    );
  }
  const schema = await SchemaRegistry.open(store);
  if (!schema.ok) return schema;
  if (tables !== undefined && JSON.stringify(tables) !== JSON.stringify(schema.value.tables)) {
    const put = await schema.value.put({ tables });
    if (!put.ok) return put;
  }
  const serverClock = await ServerClock.open(store, clock);
  if (!serverClock.ok) return serverClock;
  return ok(new Gateway(options, { schema: schema.value, clock: serverClock.value }));
}
