import {
  type Clock,
  err,
  LakeSyncError,
  type Logger,
  ok,
  type Random,
  type Result,
  type Scheduler,
  type SqlDatabase,
  type SqlRow,
  type SqlTransaction,
  type SqlValue,
  type SyncTransport,
  toLakeSyncError,
} from "@lakesync/core";
import type { WaitOptions } from "./client.ts";
import { Emitter } from "./_emitter.ts";
import type { Engine, EngineHooks } from "./_engine.ts";
import { showToDevtools } from "./_inspected.ts";
import { LiveHub } from "./_live_hub.ts";
import { LiveQueries } from "./_live_queries.ts";
import { type LiveQuery, liveQuery } from "./live_query.ts";
import { sqlOf, type SqlQuery } from "./sql_query.ts";
import { letterOf, remake, SELECT_LETTERS, takeLetters } from "./_dead_letters.ts";
import { type LocalTable, wireRow } from "./_local_table.ts";
import { emptyDatabase, schemaVersion } from "./_open_schema.ts";
import { countOutbox, type Refusal } from "./_outbox.ts";
import { readWithin } from "./_reading.ts";
import type { PushSize } from "./_push_limits.ts";
import type { Rejected } from "./rejected.ts";
import { StatusBoard } from "./_status_board.ts";
import { closedError, SyncEngine } from "./_sync_engine.ts";
import type { ClientEvents, ClientStatus, DeadLetter, SyncSummary } from "./status.ts";
import type { ClientStorage } from "./storage.ts";
import { applyWrite, type WriteOp, type WriteTarget } from "./_write_op.ts";
import { type AppRow, appRowOf, WriteSession } from "./_write_session.ts";

/** What {@linkcode LocalClient} works with. */
export interface LocalClientOptions {
  readonly clientId: string;
  readonly tables: ReadonlyMap<string, LocalTable>;
  readonly database: SqlDatabase;
  readonly ownsDatabase: boolean;
  /**
   * Closes the database and takes it away.
   *
   * @default {undefined} the client's tables are dropped
   */
  readonly remove?: () => Promise<Result<void>>;
  readonly transport: SyncTransport | undefined;
  /** What syncs, where that is not an engine of the client's own. */
  readonly engine?: (hooks: EngineHooks) => Engine;
  /** Where the data is kept. */
  readonly storage: () => Promise<ClientStorage>;
  /** How many deltas the gateway has not acknowledged. */
  readonly outbox: number;
  readonly auto: boolean;
  readonly intervalMs: number;
  readonly retentionMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** Rows that an import writes in one local transaction. */
const IMPORT_ROWS = 1_000;

/** The client, without the types that an app's tables give it. */
export class LocalClient {
  readonly clientId: string;
  readonly tables: { readonly [name: string]: object };
  readonly rejected: Rejected = {
    list: () => this.#letters(),
    retry: (deltaIds) => this.#retry(deltaIds),
    drop: (deltaIds) => this.#drop(deltaIds),
  };
  readonly #options: LocalClientOptions;
  readonly #hub: LiveHub = new LiveHub();
  readonly #live: LiveQueries;
  readonly #events: Emitter<ClientEvents>;
  readonly #board: StatusBoard;
  readonly #engine: Engine;
  #closed = false;

  constructor(options: LocalClientOptions) {
    const { clientId, tables, database, transport, clock, logger } = options;
    this.#options = options;
    this.clientId = clientId;
    showToDevtools(this, {
      schemas: [...tables.values()].map(({ schema }) => schema),
      watch: (changed, closed) => this.#hub.watch(changed, closed),
    });
    this.tables = Object.fromEntries(
      [...tables].map(([name, table]) => [name, this.#tableClient(table)]),
    );
    this.#events = new Emitter((thrown) => this.#threw(thrown));
    this.#live = new LiveQueries({
      database,
      tables,
      hub: this.#hub,
      failed: (error) => this.#events.emit("error", error),
      threw: (thrown) => this.#threw(thrown),
    });
    this.#board = new StatusBoard(this.#events, "manual", options.outbox);
    this.#engine = options.engine?.({
      events: this.#events,
      board: this.#board,
      changed: (changed) => this.#hub.changed(changed),
      refused: (refusals) => this.#refused(refusals),
      ended: (error) => this.#ended(error),
    }) ?? new SyncEngine({
      ...options,
      events: this.#events,
      board: this.#board,
      context: transport && {
        clientId,
        schemaVersion: schemaVersion([...tables.values()]),
        database,
        transport,
        tables,
        clock,
        retentionMs: options.retentionMs,
        logger,
        board: this.#board,
        changed: (changed) => this.#hub.changed(changed),
        refused: (refusals) => this.#refused(refusals),
      },
    });
  }

  get status(): ClientStatus {
    return this.#board.status;
  }

  async query(
    query: string | SqlQuery,
    values: readonly SqlValue[] = [],
  ): Promise<Result<SqlRow[]>> {
    const { sql, params } = sqlOf(query, values);
    return await this.#options.database.query(sql, params);
  }

  live(query: string | SqlQuery, params: readonly SqlValue[] = []): LiveQuery {
    return liveQuery(this.#live, sqlOf(query, params));
  }

  async transaction(body: (tx: object) => Promise<unknown>): Promise<Result<unknown>> {
    return await this.#write({ grouped: true }, (session, tx) =>
      body({
        tables: Object.fromEntries(
          [...this.#options.tables].map(([name, table]) => [name, {
            insert: (row: AppRow) => session.insert(table, row),
            insertMany: (rows: Iterable<AppRow>) => session.insertMany(table, [...rows]),
            upsert: (row: AppRow) => session.put(table, row),
            upsertMany: (rows: Iterable<AppRow>) => session.putMany(table, [...rows]),
            update: (id: string, values: AppRow) => session.update(table, id, values),
            delete: (id: string) => session.delete(table, id),
            get: (id: string) => session.get(table, id),
          }]),
        ),
        query: async (query: string | SqlQuery, values: readonly SqlValue[] = []) => {
          const { sql, params } = sqlOf(query, values);
          await session.show();
          return await readWithin(tx, sql, params);
        },
      }));
  }

  async import(
    name: string,
    rows: Iterable<AppRow> | AsyncIterable<AppRow>,
    options: WaitOptions = {},
  ): Promise<Result<{ readonly rows: number }>> {
    const table = this.#options.tables.get(name);
    if (table === undefined) throw new TypeError(`Cannot import: there is no table "${name}"`);
    let written = 0;
    let chunk: AppRow[] = [];
    const flush = async (): Promise<Result<unknown>> => {
      const part = chunk;
      chunk = [];
      const done = await this.#apply({
        method: "putMany",
        table: name,
        rows: part,
        grouped: false,
        quiet: true,
      });
      if (done.ok) written += part.length;
      return done;
    };
    for await (const row of rows) {
      chunk.push(row);
      if (chunk.length < IMPORT_ROWS) continue;
      if (options.signal?.aborted === true) break;
      const done = await flush();
      if (!done.ok) return done;
    }
    if (options.signal?.aborted === true) {
      return err(
        new LakeSyncError(
          "ABORTED",
          `The import was stopped after ${written} rows: import the rest`,
        ),
      );
    }
    const done = await flush();
    return done.ok ? ok({ rows: written }) : done;
  }

  async syncOnce(options: WaitOptions = {}): Promise<Result<SyncSummary>> {
    return await this.#engine.syncOnce(options);
  }

  pause(): void {
    this.#engine.pause();
  }

  resume(): void {
    this.#engine.resume();
  }

  async pending(): Promise<Result<number>> {
    return await countOutbox(this.#options.database);
  }

  async storage(): Promise<Result<ClientStorage>> {
    if (this.#closed) return err(closedError());
    try {
      return ok(await this.#options.storage());
    } catch (thrown) {
      return err(toLakeSyncError(thrown, "STORAGE_ERROR"));
    }
  }

  async #letters(): Promise<Result<DeadLetter[]>> {
    const rows = await this.#options.database.query(SELECT_LETTERS);
    return rows.ok ? ok(rows.value.map(letterOf)) : rows;
  }

  #retry(deltaIds: readonly string[]): Promise<Result<number>> {
    return this.#write({ grouped: true }, async (session, tx) => {
      const letters = await takeLetters(tx, deltaIds);
      for (const letter of letters) await remake(session, letter, this.#options.tables);
      return letters.length;
    });
  }

  #drop(deltaIds: readonly string[]): Promise<Result<number>> {
    return this.#options.database.transaction(async (tx) =>
      (await takeLetters(tx, deltaIds)).length
    );
  }

  on<Name extends keyof ClientEvents>(
    event: Name,
    listener: (value: ClientEvents[Name]) => void,
  ): () => void {
    return this.#events.on(event, listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#engine.close();
    this.#hub.close();
    if (this.#options.ownsDatabase) await this.#options.database.close();
  }

  async wipe(): Promise<Result<{ readonly unsent: number }>> {
    if (this.#closed) return err(closedError());
    this.#closed = true;
    const { database, ownsDatabase, remove, tables } = this.#options;
    const pending = await this.pending();
    await this.#engine.close();
    this.#hub.close();
    if (remove !== undefined) {
      const removed = await remove();
      return removed.ok ? ok({ unsent: pending.ok ? pending.value : 0 }) : removed;
    }
    const emptied = await database.transaction((tx) => emptyDatabase(tx, tables));
    if (ownsDatabase) await database.close();
    return emptied.ok ? ok({ unsent: pending.ok ? pending.value : 0 }) : emptied;
  }

  #tableClient(table: LocalTable): object {
    const { name } = table;
    const one = { table: name, grouped: false };
    const many = { table: name, grouped: true };
    return {
      insert: (row: AppRow) => this.#apply({ ...one, method: "insert", row }),
      insertMany: (rows: Iterable<AppRow>) =>
        this.#apply({ ...many, method: "insertMany", rows: [...rows] }),
      upsert: (row: AppRow) => this.#apply({ ...one, method: "put", row }),
      upsertMany: (rows: Iterable<AppRow>) =>
        this.#apply({ ...many, method: "putMany", rows: [...rows] }),
      update: (id: string, values: AppRow) => this.#apply({ ...one, method: "update", id, values }),
      delete: (id: string) => this.#apply({ ...one, method: "delete", id }),
      get: async (id: string): Promise<Result<AppRow | undefined>> => {
        const rows = await this.query(table.read, [id]);
        if (!rows.ok) return rows;
        const row = rows.value[0];
        return ok(row && appRowOf(table, id, wireRow(table, row)));
      },
    };
  }

  /** One change, here or where the engine is. */
  async #apply(op: WriteOp): Promise<Result<unknown>> {
    if (this.#closed) return err(closedError());
    const table = this.#options.tables.get(op.table)!;
    const remote = await this.#engine.write?.(op);
    if (remote === undefined) return await this.#write(op, (s) => applyWrite(s, table, op));
    if (!remote.ok) return remote;
    this.#hub.changed(remote.value.changed);
    return ok(remote.value.value);
  }

  /** One local write: the rows as they show and the outbox in one transaction, then the news. */
  async #write<T>(
    options: { grouped: boolean },
    body: (session: WriteTarget, tx: SqlTransaction) => Promise<T>,
  ): Promise<Result<T>> {
    if (this.#closed) return err(closedError());
    const remote = await this.#engine.changes?.(body);
    if (remote !== undefined) {
      if (!remote.ok) return remote;
      this.#hub.changed(remote.value.changed);
      return ok(remote.value.value);
    }
    const canPush = (size: PushSize) =>
      this.#engine.canPush || (this.#engine.canFollow?.(size) === true && "next");
    const written = await this.#options.database.transaction(async (tx) => {
      const session = await WriteSession.begin(tx, this.#options);
      const value = await body(session, tx);
      return { value, outcome: await session.finish({ ...options, canPush }) };
    });
    if (!written.ok) return written;
    const { value, outcome } = written.value;
    if (outcome.deltas > 0) {
      this.#board.set({ outbox: this.#board.status.outbox + outcome.deltas });
      this.#hub.changed(outcome.changed);
      this.#engine.nudge(outcome.flying, outcome);
    }
    return ok(value);
  }

  /** Its data is not there any more: it is closed without having been asked. */
  #ended(error: LakeSyncError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#board.set({ state: "closed", error });
    this.#events.emit("error", error);
    this.#hub.close();
  }

  #refused(refusals: readonly Refusal[]): void {
    const at = this.#options.clock.now();
    const letters = refusals.map(({ flying, code, message }): DeadLetter => ({
      delta: flying.delta,
      code,
      message,
      at,
    }));
    this.#options.logger.log("warn", "rejected", {
      deltas: letters.map(({ delta, code }) => ({ deltaId: delta.deltaId, code })),
    });
    this.#events.emit("rejected", letters);
  }

  #threw(thrown: unknown): void {
    this.#options.logger.log("error", "listener threw", { error: String(thrown) });
  }
}
