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
  type SyncTransport,
  type TableSchema,
} from "@lakesync/core";
import { Emitter } from "./_emitter.ts";
import type { Changed } from "./_live_hub.ts";
import { indexLocalTables, openSchema, schemaVersion } from "./_open_schema.ts";
import { countOutbox } from "./_outbox.ts";
import { StatusBoard } from "./_status_board.ts";
import { SyncEngine } from "./_sync_engine.ts";
import { makeCommits } from "./_tab_commits.ts";
import { TabHost } from "./_tab_host.ts";
import { type LocalTable, localTable } from "./_local_table.ts";
import type {
  DeclaredTable,
  HelloBody,
  Storage,
  StorageEstimate,
  TabNews,
  WorkerConfig,
} from "./_tab_messages.ts";
import { packErrors } from "./_tab_pack.ts";
import type { Port } from "./_tab_rpc.ts";
import type { ClientEvents } from "./status.ts";
import type { GetToken } from "./_token.ts";
import { unionSchemas } from "./_union_schema.ts";

/** How long a tab may take to give a token before the next one is asked. */
const TOKEN_MS = 5_000;

/** What {@linkcode Leader} works with. */
export interface LeaderOptions {
  readonly term: string;
  readonly database: SqlDatabase;
  readonly storage: Storage;
  readonly config: WorkerConfig;
  readonly estimate: () => Promise<StorageEstimate>;
  /** The way to the gateway, where there is one. */
  readonly transport: (getToken: GetToken | undefined) => SyncTransport | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** Has the database open, syncs it, and serves all tabs. */
export class Leader {
  readonly #options: LeaderOptions;
  readonly #tabs: Map<string, TabHost> = new Map();
  readonly #events: Emitter<ClientEvents>;
  readonly #board: StatusBoard;
  readonly #transport: SyncTransport | undefined;
  #tables: readonly DeclaredTable[] = [];
  #clientId = "";
  #closed = false;
  #engine: SyncEngine | undefined;
  readonly #admitted = Promise.withResolvers<void>();
  #admitting: Promise<unknown> = Promise.resolve();

  private constructor(options: LeaderOptions, hello: HelloBody) {
    const { logger } = options;
    this.#options = options;
    this.#transport = options.transport(hello.hasToken ? () => this.#token() : undefined);
    this.#events = new Emitter((thrown) =>
      logger.log("error", "listener threw", { error: String(thrown) })
    );
    this.#board = new StatusBoard(this.#events, "manual", 0);
    this.#events.on("status", (status) => this.#tell("status", status));
    this.#events.on("synced", (value) => this.#tell("event", { name: "synced", value }));
    this.#events.on("error", (value) => this.#tell("event", { name: "error", value }));
  }

  /** Begins to lead over an open database, for the tables of its own tab. */
  static async open(options: LeaderOptions, hello: HelloBody): Promise<Result<Leader>> {
    const leader = new Leader(options, hello);
    const opened = await leader.#open(hello);
    return opened.ok ? ok(leader) : opened;
  }

  /** Takes a tab in, or refuses it. */
  async admit(hello: HelloBody, port: Port): Promise<void> {
    // One after the other: each may make the tables wider.
    const opened = this.#admitting.then(() => this.#open(hello));
    this.#admitting = opened;
    const { term, storage } = this.#options;
    const done = await opened;
    if (!done.ok) return port.post({ term, refused: packErrors(done.error) });
    await this.#tabs.get(hello.tab)?.end();
    const { database, clock, random, scheduler, estimate } = this.#options;
    const host = new TabHost({
      term,
      port,
      hello,
      database,
      engine: () => this.#engine!,
      clock,
      random,
      scheduler,
      estimate,
      wrote: (wrote, flying) => {
        const { deltas, changed } = wrote;
        this.#board.set({ outbox: this.#board.status.outbox + deltas });
        this.#tell("changed", changed, hello.tab);
        this.#engine?.nudge(flying);
      },
    });
    this.#tabs.set(hello.tab, host);
    this.#admitted.resolve();
    host.welcome({ clientId: this.#clientId, storage, status: this.#board.status });
  }

  /** A tab is gone. What it wrote last it may not have told. */
  async gone(tab: string): Promise<void> {
    const host = this.#tabs.get(tab);
    if (host === undefined || this.#closed) return;
    this.#tabs.delete(tab);
    await host.end();
    const outbox = await countOutbox(this.#options.database);
    if (outbox.ok) this.#board.set({ outbox: outbox.value });
    this.#tell("changed", this.#anything());
    this.#engine?.nudge();
  }

  /** Lets go of everything but the database. */
  async close(): Promise<void> {
    this.#closed = true;
    // Who waits for a token of the first tab waits in vain.
    this.#admitted.resolve();
    const engine = this.#engine?.close();
    await Promise.all([...this.#tabs.values()].map((host) => host.end()));
    await engine;
  }

  /** Opens the database for a tab's tables, which may be of an earlier or a later version. */
  async #open(hello: HelloBody): Promise<Result<void>> {
    const { database, clock, random, config, storage } = this.#options;
    const stored = await storedSchemas(database);
    if (!stored.ok) return stored;
    const union = unionSchemas(stored.value, hello.tables.map(({ schema }) => schema));
    if (!union.ok) return union;
    const known = hello.clientId !== undefined && hello.clientId !== this.#clientId;
    if (this.#engine !== undefined && known && storage !== "memory") return err(conflict());
    const tables = union.value.map((schema) => ({
      schema,
      indexes: uniqueIndexes([...this.#tables, ...hello.tables], schema.table),
      bigints: [],
      judged: false,
    }));
    if (this.#engine !== undefined && JSON.stringify(tables) === JSON.stringify(this.#tables)) {
      return ok(undefined);
    }
    const local = indexLocalTables(
      tables.map(({ schema, indexes }) =>
        localTable({ name: schema.table, columns: {}, schema, indexes, validate: undefined })
      ),
    );
    await this.#engine?.close();
    const state = await openSchema(database, {
      tables: [...local.values()],
      clientId: hello.clientId,
      random,
      settledBefore: clock.now() - config.retentionMs,
    });
    if (!state.ok) return state;
    const noting = await database.transaction((tx) => makeCommits(tx, { now: clock.now() }));
    if (!noting.ok) return noting;
    const outbox = await countOutbox(database);
    if (!outbox.ok) return outbox;
    this.#board.set({ outbox: outbox.value });
    this.#tables = tables;
    this.#clientId = state.value.clientId;
    this.#engine = this.#startEngine(local);
    return ok(undefined);
  }

  #startEngine(tables: ReadonlyMap<string, LocalTable>): SyncEngine {
    const { config, database, clock, random, scheduler, logger } = this.#options;
    return new SyncEngine({
      auto: config.auto,
      intervalMs: config.intervalMs,
      clock,
      random,
      scheduler,
      events: this.#events,
      board: this.#board,
      context: this.#transport && {
        clientId: this.#clientId,
        schemaVersion: schemaVersion([...tables.values()]),
        database,
        transport: this.#transport,
        tables,
        clock,
        retentionMs: config.retentionMs,
        logger,
        board: this.#board,
        changed: (changed) => this.#tell("changed", changed),
        refused: (refusals) => this.#tell("refused", refusals),
      },
    });
  }

  #tell<Name extends keyof TabNews & string>(
    name: Name,
    value: TabNews[Name],
    except?: string,
  ): void {
    for (const [tab, host] of this.#tabs) if (tab !== except) host.tell(name, value);
  }

  #anything(): Changed {
    return new Map(this.#tables.map(({ schema }) => [schema.table, undefined]));
  }

  /** A token from the first tab that gives one: those that are hung or frozen do not answer. */
  async #token(): Promise<string> {
    let failure: unknown;
    await this.#admitted.promise;
    for (const host of [...this.#tabs.values()].filter(({ hello }) => hello.hasToken)) {
      const over = new AbortController();
      try {
        const late = this.#options.scheduler.delay(TOKEN_MS, { signal: over.signal }).then(() => {
          throw new LakeSyncError("TIMEOUT", `The tab gave no token within ${TOKEN_MS} ms`);
        });
        late.catch(() => {});
        return await Promise.race([host.token(), late]);
      } catch (thrown) {
        failure = thrown;
      } finally {
        over.abort();
      }
    }
    throw failure ??
      new LakeSyncError("UNAUTHENTICATED", "No tab could be asked for a token: open the app");
  }
}

async function storedSchemas(database: SqlDatabase): Promise<Result<readonly TableSchema[]>> {
  const made = await database.query("SELECT 1 FROM sqlite_master WHERE name = 'lakesync_state'");
  if (!made.ok) return made;
  if (made.value.length === 0) return ok([]);
  const rows = await database.query("SELECT schemas FROM lakesync_state");
  return rows.ok ? ok(JSON.parse(rows.value[0]!.schemas as string) as TableSchema[]) : rows;
}

function uniqueIndexes(
  tables: readonly DeclaredTable[],
  name: string,
): readonly (readonly string[])[] {
  const indexes = tables.filter(({ schema }) => schema.table === name)
    .flatMap(({ indexes }) => indexes);
  return [...new Map(indexes.map((columns) => [columns.join(), columns])).values()];
}

function conflict(): LakeSyncError {
  return new LakeSyncError(
    "CONFLICT",
    "This tab's data was removed or is another client's by now: reload it",
  );
}
