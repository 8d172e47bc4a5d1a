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
  toLakeSyncError,
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
import { askForToken } from "./_tab_tokens.ts";
import type { Port } from "./_tab_rpc.ts";
import type { ClientEvents } from "./status.ts";
import type { GetToken } from "./_token.ts";
import { unionSchemas } from "./_union_schema.ts";

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
  #local: ReadonlyMap<string, LocalTable> = new Map();
  #clientId: string | undefined;
  #closed = false;
  #paused = false;
  /** From the first tab on: without one there is nobody to give a token. */
  #engine: SyncEngine | undefined;
  #admitting: Promise<unknown> = Promise.resolve();

  private constructor(options: LeaderOptions, hello: HelloBody) {
    const { logger } = options;
    this.#options = options;
    this.#transport = options.transport(
      hello.hasToken ? () => askForToken(this.#tabs.values(), options.scheduler) : undefined,
    );
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
    if (done.ok) await this.#tabs.get(hello.tab)?.end();
    // The next leader takes it in.
    if (this.#closed) return;
    if (!done.ok) return port.post({ term, refused: packErrors(done.error) });
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
      pause: (paused) => this.#pause(paused),
      wrote: (wrote, flying) => {
        const { deltas, changed } = wrote;
        this.#board.set({ outbox: this.#board.status.outbox + deltas });
        this.#tell("changed", changed, hello.tab);
        this.#engine?.nudge(flying);
      },
    });
    this.#tabs.set(hello.tab, host);
    if (hello.paused) this.#pause(true);
    this.#engine ??= this.#startEngine();
    host.welcome({ clientId: this.#clientId!, storage, status: this.#board.status });
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
    const engine = this.#engine?.close();
    await Promise.all([...this.#tabs.values()].map((host) => host.end()));
    await engine;
    await this.#admitting;
  }

  #pause(paused: boolean): void {
    this.#paused = paused;
    if (paused) this.#engine?.pause();
    else this.#engine?.resume();
  }

  /** Opens the database for a tab's tables, which may be of an earlier or a later version. */
  async #open(hello: HelloBody): Promise<Result<void>> {
    try {
      return await this.#widen(hello);
    } catch (thrown) {
      return err(toLakeSyncError(thrown, "INTERNAL"));
    }
  }

  async #widen(hello: HelloBody): Promise<Result<void>> {
    const { database, clock, storage } = this.#options;
    const stored = await storedSchemas(database);
    if (!stored.ok) return stored;
    const lost = hello.was !== undefined && stored.value === undefined;
    const wanted = hello.clientId ?? hello.was;
    const other = this.#clientId !== undefined && wanted !== undefined && wanted !== this.#clientId;
    if ((lost || other) && storage !== "memory") return err(conflict());
    const union = unionSchemas(stored.value ?? [], hello.tables.map(({ schema }) => schema));
    if (!union.ok) return union;
    const tables = union.value.map((schema) => ({
      schema,
      indexes: uniqueIndexes([...this.#tables, ...hello.tables], schema.table),
      bigints: [],
      judged: false,
    }));
    if (this.#clientId !== undefined && JSON.stringify(tables) === JSON.stringify(this.#tables)) {
      return ok(undefined);
    }
    const local = indexLocalTables(
      tables.map(({ schema, indexes }) =>
        localTable({ name: schema.table, columns: {}, schema, indexes, validate: undefined })
      ),
    );
    const noting = await database.transaction((tx) => makeCommits(tx, { now: clock.now() }));
    if (!noting.ok) return noting;
    const engine = this.#engine;
    await engine?.close();
    try {
      return await this.#take(hello, { tables, local });
    } finally {
      // Over the old tables, where it is refused.
      if (engine !== undefined && !this.#closed) this.#engine = this.#startEngine();
    }
  }

  /** Makes the tables, and works with them from then on. */
  async #take(
    hello: HelloBody,
    { tables, local }: {
      readonly tables: readonly DeclaredTable[];
      readonly local: ReadonlyMap<string, LocalTable>;
    },
  ): Promise<Result<void>> {
    const { database, clock, random, config } = this.#options;
    const state = await openSchema(database, {
      tables: [...local.values()],
      clientId: hello.clientId ?? hello.was,
      random,
      settledBefore: clock.now() - config.retentionMs,
    });
    if (!state.ok) return state;
    this.#tables = tables;
    this.#local = local;
    this.#clientId = state.value.clientId;
    const outbox = await countOutbox(database);
    if (!outbox.ok) return outbox;
    this.#board.set({ outbox: outbox.value });
    return ok(undefined);
  }

  #startEngine(): SyncEngine {
    const tables = this.#local;
    const { config, database, clock, random, scheduler, logger } = this.#options;
    return new SyncEngine({
      auto: config.auto,
      paused: this.#paused,
      intervalMs: config.intervalMs,
      clock,
      random,
      scheduler,
      events: this.#events,
      board: this.#board,
      context: this.#transport && {
        clientId: this.#clientId!,
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
}

/** The tables of the client whose database it is; undefined in one that is new. */
async function storedSchemas(
  database: SqlDatabase,
): Promise<Result<readonly TableSchema[] | undefined>> {
  const made = await database.query("SELECT 1 FROM sqlite_master WHERE name = 'lakesync_state'");
  if (!made.ok) return made;
  if (made.value.length === 0) return ok(undefined);
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
