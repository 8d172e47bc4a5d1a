import {
  type Clock,
  type DatabaseAdapter,
  type DeltaPage,
  err,
  type ErrorCode,
  type FlushBatch,
  type FlushOutcome,
  LakeSyncError,
  type LatestStateOptions,
  type Materialisable,
  type MaterialiseOptions,
  type MaterialiseReport,
  ok,
  type QueryDeltasOptions,
  type Result,
  type SqlServer,
  type SqlWork,
  type StatePage,
  systemClock,
  type TableSchema,
  toLakeSyncError,
  type Watermark,
} from "@lakesync/core";
import { batchFor } from "./_batch.ts";
import { insertBatch, readMarks } from "./_insert.ts";
import { Lately } from "./_lately.ts";
import { materialiseTable } from "./_materialise.ts";
import { readDeltas, readStates } from "./_read.ts";
import { setUp } from "./_setup.ts";

/** Options of {@linkcode sqlAdapter}. */
export interface SqlAdapterOptions {
  /** The database. Closed with the adapter. */
  readonly server: SqlServer;
  /** Names it in stats and logs. */
  readonly name: string;
  /**
   * Tells `synced_at`.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** What {@linkcode sqlAdapter} gives. */
export type SqlAdapter = DatabaseAdapter & Materialisable;

/**
 * Deltas in a SQL database: what Postgres, MySQL and their like have in common. LakeSync's own
 * tables are called `lakesync_…`; what they look like is in docs/databases.md.
 *
 * @param options The database.
 * @returns The adapter.
 *
 * @example Over a database that is not there
 * ```ts
 * import { sqlAdapter } from "@lakesync/adapter-database";
 * import { postgresServer } from "@lakesync/adapter-postgres";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const server = unwrapOrThrow(await postgresServer({ url: "postgres://nobody@127.0.0.1:1/none" }));
 * const adapter = sqlAdapter({ server, name: "pg" });
 * const marks = await adapter.watermarks(["todos"]);
 * assertEquals(marks.ok || marks.error.code, "OFFLINE");
 * await adapter.close();
 * ```
 */
export function sqlAdapter(options: SqlAdapterOptions): SqlAdapter {
  return new Adapter(options);
}

/** How often tables are made: some databases commit after each, and two processes may make them in turns. */
const SET_UP_TRIES = 10;
/** What making a table fails with that somebody else made meanwhile. */
const RACED: ReadonlySet<ErrorCode> = new Set(["CONFLICT", "STORAGE_ERROR", "TIMEOUT"]);

class Adapter implements SqlAdapter {
  readonly name: string;
  readonly #server: SqlServer;
  readonly #clock: Clock;
  readonly #lately = new Lately();
  #materialises = false;
  #ready: Promise<Result<void>> | undefined;
  #closed = false;

  constructor(options: SqlAdapterOptions) {
    const { server, name, clock = systemClock } = options;
    this.name = name;
    this.#server = server;
    this.#clock = clock;
  }

  async ensureSchema(
    _tables: readonly TableSchema[],
    options: { signal?: AbortSignal } = {},
  ): Promise<Result<void>> {
    return await this.#run(() => Promise.resolve(), options);
  }

  async watermarks(tables: readonly string[]): Promise<Result<ReadonlyMap<string, Watermark>>> {
    const server = this.#server;
    const marks = await this.#run((work) => readMarks(work, { server, tables, lock: false }));
    if (!marks.ok) return marks;
    return ok(new Map(Array.from(marks.value, ([table, { watermark }]) => [table, watermark])));
  }

  async insertDeltas(batch: FlushBatch): Promise<Result<ReadonlyMap<string, FlushOutcome>>> {
    const server = this.#server;
    if (server.insertBatch !== undefined) {
      const ready = await this.ensureSchema([], batch);
      if (!ready.ok) return ready;
      const outcomes = await server.insertBatch(batchFor(server, batch));
      if (!outcomes.ok) this.#ready = undefined;
      return outcomes;
    }
    const keepMerged = this.#materialises;
    const insert = (work: SqlWork) => insertBatch(work, { server, batch, keepMerged });
    const inserted = await this.#run(insert, batch);
    if (!inserted.ok) return inserted;
    const { outcomes, merged, ...place } = inserted.value;
    this.#lately.add(merged, place);
    return ok(outcomes);
  }

  queryDeltasSince(
    after: string | undefined,
    query: QueryDeltasOptions,
  ): Promise<Result<DeltaPage>> {
    checkLimit(query.limit);
    return this.#run((work) => readDeltas(work, { server: this.#server, after, query }), query);
  }

  getLatestState(table: string, query: LatestStateOptions = {}): Promise<Result<StatePage>> {
    checkLimit(query.limit ?? 1);
    return this.#run((work) => readStates(work, { server: this.#server, table, query }), query);
  }

  async materialise(
    schema: TableSchema,
    options: MaterialiseOptions = {},
  ): Promise<Result<MaterialiseReport>> {
    const ready = await this.ensureSchema([schema], options);
    if (!ready.ok) return ready;
    this.#materialises = true;
    try {
      const { signal } = options;
      const [clock, lately] = [this.#clock, this.#lately];
      return ok(await materialiseTable(this.#server, { schema, clock, lately, signal }));
    } catch (thrown) {
      return err(inTable(toLakeSyncError(thrown, "INTERNAL"), schema.table));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#server.close();
  }

  /** Runs something in a transaction, with LakeSync's tables made beforehand. */
  async #run<T>(
    body: (work: SqlWork) => Promise<T>,
    options: { signal?: AbortSignal } = {},
  ): Promise<Result<T>> {
    if (this.#closed) {
      return err(
        new LakeSyncError("CLOSED", `Cannot use ${this.#server.place}: its adapter is closed`),
      );
    }
    const stop = options.signal === undefined ? {} : { signal: options.signal };
    const ready = await (this.#ready ??= this.#setUp());
    if (!ready.ok) {
      this.#ready = undefined;
      return ready;
    }
    const result = await this.#server.transaction(body, stop);
    // Somebody may have dropped the tables: see to them before the next call.
    if (!result.ok) this.#ready = undefined;
    return result;
  }

  async #setUp(): Promise<Result<void>> {
    const server = this.#server;
    for (let tries = SET_UP_TRIES;;) {
      const made = await server.transaction((work) => setUp(work, server));
      // Of several processes that make the tables at once, all but one fail; then they find them made.
      const raced = !made.ok && made.error.cause !== undefined && RACED.has(made.error.code);
      if (!raced || --tries === 0) return made;
    }
  }
}

function checkLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new TypeError(`Cannot read with limit ${limit}: it is not a whole number from 1`);
  }
}

function inTable(error: LakeSyncError, table: string): LakeSyncError {
  if (error.details?.["table"] !== undefined) return error;
  return new LakeSyncError(error.code, `Cannot materialise "${table}": ${error.message}`, {
    cause: error.cause ?? error,
    details: { ...error.details, table },
  });
}
