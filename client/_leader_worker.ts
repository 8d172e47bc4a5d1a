import {
  type Clock,
  LakeSyncError,
  type Logger,
  ok,
  type Random,
  type Result,
  type Scheduler,
  type SqlDatabase,
  type SyncTransport,
} from "@lakesync/core";
import { Leader } from "./_leader.ts";
import {
  type ControlMessage,
  type HelloBody,
  leaderName,
  type StartMessage,
  type Storage,
  type StorageEstimate,
  tabName,
  type WorkerConfig,
} from "./_tab_messages.ts";
import { packErrors } from "./_tab_pack.ts";
import type { Port } from "./_tab_rpc.ts";
import type { GetToken } from "./_token.ts";

/** After so many ms a worker that could not open the database tries again. */
const RETRY_MS = 1_000;

/** So long a worker that has removed the data waits for the other tabs to end. */
const FAREWELL_MS = 1_000;

/** The part of the Web Locks API that is used. */
export interface Locks {
  /** Holds a lock from when it is free until what the callback returns settles. */
  request(
    name: string,
    options: { signal?: AbortSignal },
    hold: () => Promise<void>,
  ): Promise<unknown>;
}

/** A database that the worker has opened, and what is known of its place. */
export interface OpenedStorage {
  readonly database: SqlDatabase;
  readonly storage: Storage;
  estimate(): Promise<StorageEstimate>;
}

/** Where a database is opened. */
export interface OpenStorageOptions {
  readonly storage: Storage | undefined;
  readonly wasmUrl: string | undefined;
}

/** What a worker works with: the browser's, or a test's. */
export interface WorkerWorld {
  /** Its page. */
  readonly page: Port;
  /** A channel that all of the origin hear. */
  channel(name: string): Port;
  readonly locks: Locks;
  /** Gets ready to open, while another worker still leads. */
  prepare(options: OpenStorageOptions): void;
  open(name: string, options: OpenStorageOptions): Promise<Result<OpenedStorage>>;
  remove(name: string): Promise<Result<void>>;
  /** The way to the gateway, where the app names one. */
  transport(config: WorkerConfig, getToken: GetToken | undefined): SyncTransport | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/**
 * A tab's worker: waits until it may lead, then has the database open and serves all tabs. Where it is
 * terminated, its lock and its files come free, and the next tab's worker leads.
 */
export function runLeaderWorker(world: WorkerWorld): void {
  const leave = new AbortController();
  let leaving: Promise<unknown> = Promise.resolve();
  let fromPage: (message: unknown) => void = () => {};
  world.page.listen((message) => {
    if ("start" in (message as Partial<StartMessage>)) {
      const { start } = message as StartMessage;
      leaving = contend(world, start, { leave, onPage: (listener) => fromPage = listener });
    } else if ("leave" in (message as { leave?: true })) {
      leave.abort();
      void leaving.then(() => world.page.post({ left: true }));
    } else fromPage(message);
  });
}

interface ContendOptions {
  /** Aborted when it is to lead no more. */
  readonly leave: AbortController;
  readonly onPage: (listener: (message: unknown) => void) => void;
}

async function contend(
  world: WorkerWorld,
  start: StartMessage["start"],
  options: ContendOptions,
): Promise<void> {
  const { leave } = options;
  const { signal } = leave;
  const control = world.channel(leaderName(start.name));
  // Its page, which may be hung, is another user's by now: what it would sync is not wanted here.
  control.listen((message) => {
    if ((message as { wiped?: unknown }).wiped === true) leave.abort();
  });
  world.prepare({ storage: start.storage, wasmUrl: start.config.wasmUrl });
  try {
    await world.locks.request(leaderName(start.name), { signal }, async () => {
      while (!signal.aborted) {
        const led = await lead(world, start, options);
        if (led.ok) {
          if (led.value === "removed") leave.abort();
          continue;
        }
        world.page.post({ failed: packErrors(led.error) });
        await world.scheduler.delay(RETRY_MS, { signal });
      }
    });
  } catch (thrown) {
    // It left before it could lead.
    if (!signal.aborted) {
      const error = new LakeSyncError("STORAGE_ERROR", "Cannot lead: the browser gives no lock", {
        cause: thrown,
      });
      world.page.post({ failed: packErrors(error) });
    }
  } finally {
    control.close();
  }
}

/** Leads until the page leaves or the data is removed; an error where the database cannot be opened. */
async function lead(
  world: WorkerWorld,
  { name, storage: wanted, config, hello: own }: StartMessage["start"],
  { leave: { signal }, onPage }: ContendOptions,
): Promise<Result<"left" | "kept" | "removed">> {
  world.page.post({ opening: true });
  const opened = await world.open(name, { storage: wanted, wasmUrl: config.wasmUrl });
  if (!opened.ok) return opened;
  const { database, storage, estimate } = opened.value;
  const term = world.random.uuid();
  const led = await Leader.open({
    term,
    database,
    storage,
    config,
    estimate: () => estimate.call(opened.value),
    transport: (getToken) => world.transport(config, getToken),
    clock: world.clock,
    random: world.random,
    scheduler: world.scheduler,
    logger: world.logger,
  }, own);
  if (!led.ok) {
    await database.close();
    return led;
  }
  const leader = led.value;
  const over = new AbortController();
  const end = Promise.withResolvers<"left" | "wipe">();
  const control = world.channel(leaderName(name));
  const tabs = new Set<Promise<void>>();
  const announce = () => control.post({ leads: term, tab: own.tab } satisfies ControlMessage);

  control.listen((message) => {
    const said = message as ControlMessage;
    if ("who" in said) announce();
    else if ("wipe" in said) end.resolve("wipe");
    else if ("hello" in said && said.term === term) admit(said.hello);
  });
  onPage((message) => {
    // The page's own tab comes by the worker's messages alone.
    const said = message as { hello?: HelloBody; term?: string };
    if (said.hello !== undefined && said.term === term) {
      void leader.admit(said.hello, ownPort);
    } else heard(message);
  });
  let heard: (message: unknown) => void = () => {};
  const ownPort: Port = {
    post: (message) => world.page.post(message),
    listen: (listener) => heard = listener,
    close: () => {},
  };
  signal.addEventListener("abort", () => end.resolve("left"));
  if (signal.aborted) end.resolve("left");
  announce();

  const why = await end.promise;
  onPage(() => {});
  await leader.close();
  await database.close();
  let outcome: "left" | "kept" | "removed" = "left";
  if (why === "wipe") {
    const removed = await world.remove(name);
    outcome = removed.ok ? "removed" : "kept";
    const wiped = removed.ok ? true : packErrors(removed.error);
    control.post({ wiped } satisfies ControlMessage);
    // None of their workers is to lead over what comes next.
    const late = world.scheduler.delay(FAREWELL_MS, { signal: over.signal });
    if (removed.ok) await Promise.race([Promise.all(tabs), late]);
  }
  over.abort();
  control.close();
  return ok(outcome);

  /** Takes another tab in, which is there for as long as it holds its lock. */
  function admit(hello: HelloBody): void {
    const channel = tabName(name, hello.tab);
    const port = world.channel(channel);
    const admitted = leader.admit(hello, port);
    const ended = world.locks.request(channel, { signal: over.signal }, async () => {
      await admitted;
      await leader.gone(hello.tab);
    });
    // Where the leader goes first, there is nobody to be told.
    tabs.add(ended.catch(() => {}).then(() => port.close()));
  }
}
