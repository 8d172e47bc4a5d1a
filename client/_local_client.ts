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
} from "@lakesync/core";
import type { WaitOptions } from "./client.ts";
import { Emitter } from "./_emitter.ts";
import { LiveHub } from "./_live_hub.ts";
import { type LiveQuery, liveQuery } from "./live_query.ts";
import { letterOf, remake, SELECT_LETTERS, takeLetters } from "./_dead_letters.ts";
import { type LocalTable, wireRow } from "./_local_table.ts";
import { schemaVersion } from "./_open_schema.ts";
import type { Refusal } from "./_outbox.ts";
import { readWithin } from "./_reading.ts";
import type { Rejected } from "./rejected.ts";
import { closedError, SyncEngine } from "./_sync_engine.ts";
import type { ClientEvents, ClientStatus, DeadLetter, SyncSummary } from "./status.ts";
import { type AppRow, appRowOf, WriteSession } from "./_write_session.ts";

/** What {@linkcode LocalClient} works with. */
export interface LocalClientOptions {
  readonly clientId: string;
  readonly tables: ReadonlyMap<string, LocalTable>;
  readonly database: SqlDatabase;
  readonly ownsDatabase: boolean;
  readonly transport: SyncTransport | undefined;
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
  readonly #events: Emitter<ClientEvents>;
  readonly #engine: SyncEngine;
  #closed = false;

  constructor(options: LocalClientOptions) {
    const { clientId, tables, database, transport, clock, logger } = options;
    this.#options = options;
    this.clientId = clientId;
    this.tables = Object.fromEntries(
      [...tables].map(([name, table]) => [name, this.#tableClient(table)]),
    );
    this.#events = new Emitter((thrown) => this.#threw(thrown));
    this.#engine = new SyncEngine({
      ...options,
      events: this.#events,
      context: transport && {
        clientId,
        schemaVersion: schemaVersion([...tables.values()]),
        database,
        transport,
        tables,
        clock,
        retentionMs: options.retentionMs,
        logger,
        changed: (names) => this.#hub.changed(names),
        refused: (refusals) => this.#refused(refusals),
      },
    });
  }

  get status(): ClientStatus {
    return this.#engine.status;
  }

  async query(sql: string, params: readonly SqlValue[] = []): Promise<Result<SqlRow[]>> {
    return await this.#options.database.query(sql, params);
  }

  live(sql: string, params: readonly SqlValue[] = []): LiveQuery {
    return liveQuery(
      {
        database: this.#options.database,
        hub: this.#hub,
        failed: (error) => this.#events.emit("error", error),
        threw: (thrown) => this.#threw(thrown),
      },
      sql,
      params,
    );
  }

  async transaction(body: (tx: object) => Promise<unknown>): Promise<Result<unknown>> {
    return await this.#write({ grouped: true }, (session, tx) =>
      body({
        tables: Object.fromEntries(
          [...this.#options.tables].map(([name, table]) => [name, {
            insert: (row: AppRow) => session.insert(table, row),
            update: (id: string, values: AppRow) => session.update(table, id, values),
            delete: (id: string) => session.delete(table, id),
            get: (id: string) => session.get(table, id),
          }]),
        ),
        query: (sql: string, params: readonly SqlValue[] = []) => readWithin(tx, sql, params),
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
    const flush = async (): Promise<Result<void>> => {
      const part = chunk;
      chunk = [];
      const done = await this.#write({ grouped: false }, async (session) => {
        const ids = part.map(({ id }) => id).filter((id) => typeof id === "string");
        await session.load(table, ids);
        for (const row of part) await session.put(table, row);
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
    const rows = await this.#options.database.query(
      "SELECT count(*) AS pending FROM lakesync_own WHERE state < 3",
    );
    return rows.ok ? ok(rows.value[0]!.pending as number) : rows;
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

  #tableClient(table: LocalTable): object {
    return {
      insert: (row: AppRow) => this.#write({ grouped: false }, (s) => s.insert(table, row)),
      update: (id: string, values: AppRow) =>
        this.#write({ grouped: false }, (s) => s.update(table, id, values)),
      delete: (id: string) => this.#write({ grouped: false }, (s) => s.delete(table, id)),
      get: async (id: string): Promise<Result<AppRow | undefined>> => {
        const rows = await this.query(table.read, [id]);
        if (!rows.ok) return rows;
        const row = rows.value[0];
        return ok(row && appRowOf(table, id, wireRow(table, row)));
      },
    };
  }

  /** One local write: the rows as they show and the outbox in one transaction, then the news. */
  async #write<T>(
    options: { grouped: boolean },
    body: (session: WriteSession, tx: SqlTransaction) => Promise<T>,
  ): Promise<Result<T>> {
    if (this.#closed) return err(closedError());
    const canPush = () => this.#engine.canPush;
    const written = await this.#options.database.transaction(async (tx) => {
      const session = await WriteSession.begin(tx, this.#options);
      const value = await body(session, tx);
      return { value, outcome: await session.finish({ ...options, canPush }) };
    });
    if (!written.ok) return written;
    const { value, outcome } = written.value;
    if (outcome.deltas > 0) {
      this.#hub.changed(outcome.tables);
      this.#engine.nudge(outcome.flying);
    }
    return ok(value);
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
