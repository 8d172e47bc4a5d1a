import { LakeSyncError, type Logger, type Random, type Scheduler } from "@lakesync/core";
import type { EngineHooks } from "./_engine.ts";
import type { GetToken } from "./_token.ts";
import type { Locks } from "./_leader_worker.ts";
import type { LeaderFinder } from "./_remote_database.ts";
import { type Line, TabLink } from "./_tab_link.ts";
import {
  type DeclaredTable,
  type HelloBody,
  leaderName,
  type PackedIssue,
  type StartMessage,
  type Storage,
  type StorageEstimate,
  tabName,
  type Welcome,
  type WorkerConfig,
} from "./_tab_messages.ts";
import { LeaderLost, type Port } from "./_tab_rpc.ts";
import type { ClientStatus } from "./status.ts";

/** How long a worker that leaves may take before it is terminated. */
const LEAVE_MS = 1_000;

/** A worker that a page has started. */
export interface StartedWorker extends Port {
  /** Ends it at once: its locks and files come free. */
  terminate(): void;
}

/** What a tab works with: the browser's, or a test's. */
export interface TabWorld {
  readonly locks: Locks;
  /** A channel that all of the origin hear. */
  channel(name: string): Port;
  /** Starts the tab's worker. */
  startWorker(failed: (error: LakeSyncError) => void): StartedWorker;
  readonly random: Random;
  readonly scheduler: Scheduler;
  /** Gets the lines of the worker's log too. */
  readonly logger: Logger;
}

/** What a tab is for. */
export interface TabOptions {
  readonly name: string;
  readonly storage: Storage | undefined;
  readonly tables: readonly DeclaredTable[];
  readonly clientId: string | undefined;
  readonly config: WorkerConfig;
  readonly getToken: GetToken | undefined;
  /** Lets a table's validator judge a row. */
  readonly judge: (table: string, row: unknown) => Promise<readonly PackedIssue[]>;
  readonly world: TabWorld;
}

/** From when a tab is shown until it is frozen or closed. */
interface Life {
  readonly link: TabLink;
  readonly worker: StartedWorker;
  /** Lets go of the lock that says it lives. */
  readonly release: () => void;
}

/**
 * A tab of an app: has a worker, which leads if no other tab's does, and asks whichever leads. Frozen
 * it has neither, so that the others go on; it takes part again when it comes back.
 */
export class Tab implements LeaderFinder {
  readonly #options: TabOptions;
  #hooks: EngineHooks | undefined;
  #welcome: Welcome | undefined;
  #status: ClientStatus | undefined;
  #life = Promise.withResolvers<Life>();
  #present: Life | undefined;
  #lives = 0;
  #end: LakeSyncError | undefined;
  #paused = false;
  /** Whether a leader has yet to hear of what was said last. */
  #unsaid = false;

  constructor(options: TabOptions) {
    this.#options = options;
  }

  /** What the leader said when it took the tab in. */
  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  /** The line to the leader, where one has taken the tab in. */
  get line(): Line | undefined {
    return this.#present?.link.line;
  }

  /** The line to the leader, as soon as one has taken the tab in. */
  async leader(): Promise<Line> {
    for (;;) {
      if (this.#end !== undefined) throw this.#end;
      const life = await this.#life.promise;
      try {
        return await life.link.leader();
      } catch (thrown) {
        // It was frozen meanwhile.
        if (!(thrown instanceof LeaderLost)) throw thrown;
      }
    }
  }

  /** Says who is told of news. */
  hook(hooks: EngineHooks): void {
    this.#hooks = hooks;
    if (this.#status !== undefined) hooks.board.set(this.#status);
  }

  /** Takes part, from now on or again. */
  async show(): Promise<void> {
    if (this.#end !== undefined || this.#present !== undefined) return;
    const { name, storage, tables, clientId, config, getToken, world } = this.#options;
    const { locks, scheduler } = world;
    const life = ++this.#lives;
    const tab = world.random.uuid();
    const held = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    // First: a leader that takes the tab in waits for this lock to be free.
    locks.request(tabName(name, tab), {}, () => {
      held.resolve();
      return released.promise;
    }).catch(held.reject);
    try {
      await held.promise;
    } catch (thrown) {
      const message = "Cannot open in this page: the browser gives no lock";
      return this.#ended(new LakeSyncError("STORAGE_ERROR", message, { cause: thrown }));
    }
    if (life !== this.#lives || this.#end !== undefined) return released.resolve();
    const hello = (): HelloBody => ({
      tab,
      tables,
      clientId,
      // Data that was removed and made anew meanwhile is somebody else's.
      was: this.#knownClient(),
      paused: this.#paused,
      hasToken: getToken !== undefined,
    });
    const worker = world.startWorker((error) => this.#ended(error));
    const link = new TabLink({
      tab,
      hello,
      control: world.channel(leaderName(name)),
      own: world.channel(tabName(name, tab)),
      worker,
      scheduler,
      logger: world.logger,
      handlers: {
        asked: {
          token: async () => {
            if (getToken === undefined) throw new TypeError("This tab has no getToken");
            return await getToken();
          },
          judge: ({ table, row }) => this.#options.judge(table, row),
        },
        told: {
          changed: (changed) => this.#hooks?.changed(changed),
          refused: (refusals) => this.#hooks?.refused(refusals),
          status: (status) => this.#tellStatus(status),
          event: ({ name, value }) => this.#hooks?.events.emit(name, value),
        },
      },
      welcomed: (welcome) => this.#welcomed(welcome),
      ended: (error) => this.#ended(error),
    });
    worker.post({ start: { name, storage, config, hello: hello() } } satisfies StartMessage);
    this.#present = { link, worker, release: released.resolve };
    this.#life.resolve(this.#present);
  }

  /** Takes no part while it is frozen. Nothing is lost: what is under way is done when it is back. */
  hide(): void {
    this.#lives++;
    const life = this.#present;
    if (life === undefined) return;
    this.#present = undefined;
    this.#life = Promise.withResolvers();
    life.worker.terminate();
    life.link.end(new LeaderLost());
    life.release();
  }

  /** Stops automatic syncs, or starts them again: also those of a leader that comes later. */
  pause(paused: boolean): void {
    this.#paused = paused;
    this.#unsaid = this.line === undefined;
    this.line?.tell(paused ? "pause" : "resume", null);
  }

  /** How much of the browser's storage is used. */
  async estimate(): Promise<StorageEstimate> {
    return await (await this.leader()).ask("estimate", null);
  }

  /** Removes the data; the clients of all tabs end. Throws where that fails. */
  async wipe(): Promise<void> {
    await this.leader();
    const { link } = await this.#life.promise;
    const failure = await link.wipe();
    if (failure !== undefined) throw failure;
  }

  /** The client is closing: no more news. */
  closing(): void {
    this.#hooks?.board.set({ state: "closed" });
    this.#hooks = undefined;
  }

  /** Ends it; where its worker leads, another one does then. */
  async close(): Promise<void> {
    if (this.#end !== undefined) return;
    this.#end = new LakeSyncError("CLOSED", "The client is closed: create another one");
    const life = this.#present;
    this.#present = undefined;
    this.#lives++;
    if (life === undefined) {
      this.#life.promise.catch(() => {});
      return this.#life.reject(this.#end);
    }
    life.link.end(this.#end);
    const left = Promise.withResolvers<void>();
    life.worker.listen((message) => {
      if ("left" in (message as { left?: true })) left.resolve();
    });
    life.worker.post({ leave: true });
    const late = new AbortController();
    const { scheduler } = this.#options.world;
    await Promise.race([left.promise, scheduler.delay(LEAVE_MS, { signal: late.signal })]);
    late.abort();
    life.worker.terminate();
    life.release();
  }

  #knownClient(): string | undefined {
    return this.#welcome?.storage === "memory" ? undefined : this.#welcome?.clientId;
  }

  #welcomed(welcome: Welcome): void {
    this.#welcome = welcome;
    // Its hello may have been on its way already.
    if (this.#unsaid) this.pause(this.#paused);
    this.#tellStatus(welcome.status);
    // What happened before was told to others.
    const { tables } = this.#options;
    this.#hooks?.changed(new Map(tables.map(({ schema }) => [schema.table, undefined])));
  }

  #tellStatus(status: ClientStatus): void {
    this.#status = status;
    const { state } = status;
    // Another tab may have said so. While it syncs or ends, both can be.
    if (state === "paused") this.#paused = true;
    else if (state === "idle" || state === "waiting" || state === "blocked") this.#paused = false;
    this.#hooks?.board.set(status);
  }

  #ended(error: LakeSyncError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    const life = this.#present;
    this.#present = undefined;
    this.#lives++;
    life?.worker.terminate();
    life?.link.end(error);
    life?.release();
    this.#life.promise.catch(() => {});
    this.#life.reject(error);
    this.#hooks?.ended(error);
    this.#hooks = undefined;
  }
}
