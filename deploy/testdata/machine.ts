import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { icebergDestination } from "@lakesync/adapter-iceberg";
import { type LogStore, type ObjectStore, unwrapOrThrow } from "@lakesync/core";
import {
  createGateway,
  createHandler,
  type Gateway,
  type Handler,
  memoryLogStore,
  openSqliteLogStore,
} from "@lakesync/gateway";
import { faultyObjectStore, type ManualClock, Prng, type StoreFault } from "@lakesync/testing";
import type { History } from "./history.ts";
import { turns } from "./network.ts";
import { schemasOf } from "./tables.ts";

/** What goes wrong with an operation on the lake's store, or with the gateway's process just after it. */
export type LakeFault = StoreFault | "kill";

/**
 * What goes wrong with the lake's store in a flush, by the place in the order of its operations; -1 is
 * the flush's first commit (the put of a table's metadata), -2 its second one.
 */
export type LakeFaults = ReadonlyMap<number, LakeFault>;

/** Longer than a flusher's lease. */
const LEASE_MS = 61_000;

/** The least time that the log is kept, in ms. */
export const RETENTION_MS = 300_000;

/** What a {@linkcode Machine} runs with. */
export interface MachineOptions {
  readonly directory: string;
  readonly log: "sqlite" | "memory";
  readonly lake: ObjectStore;
  readonly clock: ManualClock;
  readonly history: History;
  /** The most items of a page. */
  readonly pageItems: number;
}

/** A gateway's process: what stands on its disk, and what runs now. */
export class Machine {
  readonly #options: MachineOptions;
  #memory: LogStore | undefined;
  #starts = 0;
  #disks = 0;
  #version: 1 | 2 = 1;
  #gateway: Gateway | undefined;
  #handler: Handler | undefined;
  #store: LogStore | undefined;
  #restarting: Promise<void> | undefined;
  #faults: LakeFaults = new Map();
  #operations = 0;
  #commits = 0;
  #holding = false;

  constructor(options: MachineOptions) {
    this.#options = options;
  }

  get gateway(): Gateway {
    return this.#gateway!;
  }

  get handler(): Handler {
    return this.#handler!;
  }

  /** The log, past the gateway. */
  get store(): LogStore {
    return this.#store!;
  }

  /** The version of the app whose tables it has. */
  get version(): 1 | 2 {
    return this.#version;
  }

  get #directory(): string {
    return join(this.#options.directory, `gateway${this.#disks}`);
  }

  async start(version: 1 | 2): Promise<void> {
    const { history, lake } = this.#options;
    this.#version = version;
    const seed = this.#starts++;
    const store = history.watch(await this.#open());
    const isDead = () => this.#store !== store;
    this.#store = store;
    const faulty = faultyObjectStore(lake, ({ name, key }) => {
      // What a process that is gone still wants to do does not happen.
      if (isDead()) return "fail";
      const commits = name === "put" && key.endsWith(".metadata.json");
      const fault = this.#faults.get(this.#operations++) ??
        (commits ? this.#faults.get(-++this.#commits) : undefined);
      if (typeof fault === "object" && "after" in fault) this.#holding = true;
      if (fault !== "kill") return fault;
      void this.kill();
      return undefined;
    });
    const gateway = await this.#create({ store, lake: faulty, seed });
    this.#gateway = gateway;
    this.#handler = createHandler({ gateways: [gateway], random: new Prng(3_000 + seed) });
    await history.compare(store);
  }

  async #create(
    parts: { store: LogStore; lake: ObjectStore; seed: number },
  ): Promise<Gateway> {
    const { clock, pageItems } = this.#options;
    const { store, lake, seed } = parts;
    return unwrapOrThrow(
      await createGateway({
        id: "main",
        store,
        tables: schemasOf(this.#version),
        destinations: [
          icebergDestination({ store: lake, clock, random: new Prng(1_000 + seed) }),
        ],
        // Small, so that pages and pushes are many.
        limits: { retentionMs: RETENTION_MS, pageItems, pushDeltas: 4 },
        scheduler: clock,
        random: new Prng(2_000 + seed),
      }),
    );
  }

  async #open(): Promise<LogStore> {
    const { clock, log } = this.#options;
    if (log === "memory") return this.#memory ??= memoryLogStore({ clock, random: new Prng(7) });
    return unwrapOrThrow(
      await openSqliteLogStore({
        path: join(this.#directory, "log.db"),
        clock,
        random: new Prng(7),
      }),
    );
  }

  /** Stops in good order and starts again. (A log in memory lives on without being closed.) */
  async restart(version: 1 | 2 = this.#version): Promise<void> {
    await this.#handler!.drain();
    if (this.#options.log === "sqlite") await this.#gateway!.close();
    await this.start(version);
  }

  /**
   * Dies and starts again: what is on its disk at this moment is what there is, and nobody hears of
   * what is under way.
   */
  kill(): Promise<void> {
    if (this.#restarting !== undefined) return this.#restarting;
    const gateway = this.#gateway!;
    const sqlite = this.#options.log === "sqlite";
    if (sqlite) {
      const from = this.#directory;
      this.#disks++;
      copyFiles(from, this.#directory);
    }
    this.#store = undefined;
    this.#handler = undefined;
    this.#restarting = (async () => {
      if (sqlite) await gateway.close();
      await this.start(this.#version);
      this.#restarting = undefined;
    })();
    return this.#restarting;
  }

  /** Resolves when it runs. */
  async running(): Promise<void> {
    // It may be killed again meanwhile.
    while (this.#restarting !== undefined) await this.#restarting;
  }

  /** Flushes while some of the store's operations go wrong; whether it says that it succeeded. */
  async flush(faults: LakeFaults): Promise<boolean> {
    await this.running();
    this.#faults = faults;
    this.#operations = 0;
    this.#commits = 0;
    const flushed = await this.gateway.flush();
    this.#faults = new Map();
    await this.running();
    return flushed.ok;
  }

  /**
   * Flushes; while the store holds back an operation for longer than the flusher's lease, a second
   * instance on the same log flushes too.
   */
  async overtakenFlush(place: number): Promise<boolean> {
    const { clock, lake } = this.#options;
    const over = Promise.withResolvers<void>();
    const flushing = this.flush(new Map([[place, { after: over.promise }]]));
    let ended = false;
    void flushing.then(() => ended = true);
    this.#holding = false;
    while (!ended && !this.#holding) await turns(1);
    clock.set(clock.now() + LEASE_MS);
    const second = await this.#create({ store: this.store, lake, seed: this.#starts++ });
    const flushed = await second.flush();
    over.resolve();
    await flushing;
    return flushed.ok;
  }

  async close(): Promise<void> {
    await this.running();
    await this.#gateway?.close();
  }
}

/** Copies a directory's files, all of them at one moment of this process. */
export function copyFiles(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(to, name));
}
