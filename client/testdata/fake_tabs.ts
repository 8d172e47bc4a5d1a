import {
  LakeSyncError,
  ok,
  type Result,
  type Scheduler,
  silentLogger,
  type SqlDatabase,
  type SqlTransaction,
  type SyncTransport,
  systemClock,
  systemRandom,
  systemScheduler,
  type Table,
  unwrapOrThrow,
} from "@lakesync/core";
import type { Client } from "../client.ts";
import { issuesOf } from "../_judge_row.ts";
import { LocalClient } from "../_local_client.ts";
import { localTable } from "../_local_table.ts";
import { type Locks, runLeaderWorker } from "../_leader_worker.ts";
import { openSqlite } from "../open_sqlite.ts";
import { RemoteDatabase } from "../_remote_database.ts";
import { RemoteEngine } from "../_remote_engine.ts";
import { Tab } from "../_tab.ts";
import type { Port } from "../_tab_rpc.ts";
import type { GetToken } from "../_token.ts";

/** A page or a worker: what it holds and hears ends with it. */
class Context {
  dead = false;
  readonly #endings: Set<() => unknown> = new Set();

  onEnd(ending: () => unknown): () => void {
    this.#endings.add(ending);
    return () => this.#endings.delete(ending);
  }

  async kill(): Promise<void> {
    this.dead = true;
    for (const ending of [...this.#endings]) await ending();
  }
}

/** An origin of a browser: its tabs share channels, locks and a database file. */
export class FakeOrigin {
  readonly #path: string;
  readonly #transport: (getToken: GetToken | undefined) => SyncTransport | undefined;
  readonly #channels: Map<string, Set<(message: unknown) => void>> = new Map();
  readonly #queues: Map<string, (() => Promise<void>)[]> = new Map();
  /** Called before each commit of a leader is answered; `true` ends its tab instead. */
  beforeAnswer: () => boolean = () => false;
  /** The waiting of tabs and workers. */
  scheduler: Scheduler = systemScheduler;

  constructor(
    path: string,
    transport: (getToken: GetToken | undefined) => SyncTransport | undefined = () => undefined,
  ) {
    this.#path = path;
    this.#transport = transport;
  }

  /** Opens a tab with a client in it. */
  async open<const Tables extends readonly Table[]>(
    tables: Tables,
    options: { getToken?: GetToken; auto?: boolean } = {},
  ): Promise<FakeTab<Tables>> {
    const page = new Context();
    const workers: Context[] = [];
    const local = new Map(tables.map((table) => [table.name, localTable(table)]));
    const tab = new Tab({
      name: "app",
      storage: undefined,
      clientId: undefined,
      getToken: options.getToken,
      judge: (name, row) => issuesOf(local.get(name), row),
      tables: tables.map(({ schema, indexes, columns, validate }) => ({
        schema,
        indexes,
        bigints: Object.entries(columns).filter(([, { bigint }]) => bigint).map(([name]) => name),
        judged: validate !== undefined,
      })),
      config: {
        url: undefined,
        gateway: undefined,
        wasmUrl: undefined,
        auto: options.auto === true,
        intervalMs: 1_000,
        retentionMs: 1e9,
      },
      world: {
        locks: this.#locks(page),
        channel: (name) => this.#channel(page, name),
        random: systemRandom,
        scheduler: this.scheduler,
        logger: silentLogger,
        startWorker: () => {
          const worker = new Context();
          workers.push(worker);
          const [ours, theirs] = portPair(page, worker);
          const kill = () => this.#kill(page, worker);
          this.#runWorker(worker, theirs, kill);
          return { ...ours, terminate: () => void worker.kill() };
        },
      },
    });
    await tab.show();
    await tab.leader();
    const database = new RemoteDatabase({
      finder: tab,
      random: systemRandom,
      closed: () => tab.close(),
    });
    const client = new LocalClient({
      clientId: tab.welcome!.clientId,
      tables: local,
      database,
      ownsDatabase: true,
      transport: undefined,
      engine: (hooks) => {
        tab.hook(hooks);
        return new RemoteEngine(tab, database);
      },
      outbox: 0,
      storage: () => Promise.resolve({ kind: "other" }),
      auto: false,
      intervalMs: 1_000,
      retentionMs: 1e9,
      clock: systemClock,
      random: systemRandom,
      scheduler: systemScheduler,
      logger: silentLogger,
    });
    return {
      tab,
      database,
      client: client as unknown as Client<Tables>,
      kill: () => this.#kill(page, workers.at(-1)!),
    };
  }

  async #kill(page: Context, worker: Context): Promise<void> {
    page.dead = true;
    await worker.kill();
    await page.kill();
  }

  #runWorker(context: Context, page: Port, killTab: () => Promise<void>): void {
    runLeaderWorker({
      page,
      locks: this.#locks(context),
      channel: (name) => this.#channel(context, name),
      prepare: () => {},
      open: async () => {
        const database = unwrapOrThrow(await openSqlite({ path: this.#path }));
        const mortal = new MortalDatabase(database, context, () => {
          if (!this.beforeAnswer()) return;
          void killTab();
        });
        return ok({ database: mortal, storage: "opfs", estimate: () => Promise.resolve({}) });
      },
      remove: async () => {
        const { rm } = await import("node:fs/promises");
        for (const suffix of ["", "-wal", "-shm"]) await rm(this.#path + suffix, { force: true });
        return ok(undefined);
      },
      transport: (_, getToken) => this.#transport(getToken),
      clock: systemClock,
      random: systemRandom,
      scheduler: this.scheduler,
      logger: silentLogger,
    });
  }

  #channel(context: Context, name: string): Port {
    const all = this.#channels.get(name) ?? new Set();
    this.#channels.set(name, all);
    let open = true;
    let hear: (message: unknown) => void = () => {};
    const entry = (message: unknown) => {
      if (open && !context.dead) hear(message);
    };
    all.add(entry);
    return {
      post: (message) => {
        const copy = structuredClone(message);
        if (!open || context.dead) return;
        for (const other of all) if (other !== entry) queueMicrotask(() => other(copy));
      },
      listen: (listener) => hear = listener,
      close: () => {
        open = false;
        all.delete(entry);
      },
    };
  }

  #locks(context: Context): Locks {
    return {
      request: (name, { signal }, hold) => {
        const queue = this.#queues.get(name) ?? [];
        this.#queues.set(name, queue);
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const ended = Promise.withResolvers<void>();
        const turn = async () => {
          if (!context.dead && signal?.aborted !== true) {
            started = true;
            await Promise.race([hold().then(resolve, reject), ended.promise]);
          }
          queue.shift();
          void queue[0]?.();
        };
        let started = false;
        const off = context.onEnd(() => ended.resolve());
        void promise.then(off, off);
        signal?.addEventListener("abort", () => {
          if (!started) reject(new DOMException("The request was aborted", "AbortError"));
        });
        queue.push(turn);
        if (queue.length === 1) void turn();
        return promise;
      },
    };
  }
}

/** A tab, and how it ends all of a sudden. */
export interface FakeTab<Tables extends readonly Table[]> {
  readonly tab: Tab;
  readonly database: SqlDatabase;
  readonly client: Client<Tables>;
  kill(): Promise<void>;
}

function portPair(a: Context, b: Context): [Port, Port] {
  const hear: ((message: unknown) => void)[] = [() => {}, () => {}];
  const port = (from: Context, to: Context, here: 0 | 1): Port => ({
    post: (message) => {
      const copy = structuredClone(message);
      if (from.dead) return;
      queueMicrotask(() => to.dead || hear[1 - here]!(copy));
    },
    listen: (listener) => hear[here] = listener,
    close: () => {},
  });
  return [port(a, b, 0), port(b, a, 1)];
}

/** A database that is rolled back and closed when its worker ends. */
class MortalDatabase implements SqlDatabase {
  readonly #inner: SqlDatabase;
  readonly #death = Promise.withResolvers<never>();
  readonly #committed: () => void;

  constructor(inner: SqlDatabase, context: Context, committed: () => void) {
    this.#inner = inner;
    this.#committed = committed;
    this.#death.promise.catch(() => {});
    context.onEnd(async () => {
      this.#death.reject(new LakeSyncError("CLOSED", "The worker was terminated"));
      await inner.close();
    });
  }

  async transaction<T>(body: (tx: SqlTransaction) => Promise<T>): Promise<Result<T>> {
    const done = await this.#inner.transaction((tx) =>
      Promise.race([body(tx), this.#death.promise])
    );
    if (done.ok) this.#committed();
    return done;
  }

  query(...args: Parameters<SqlDatabase["query"]>): ReturnType<SqlDatabase["query"]> {
    return this.#inner.query(...args);
  }

  tablesOf(sql: string): ReturnType<SqlDatabase["tablesOf"]> {
    return this.#inner.tablesOf(sql);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
