import type { Delta, Rules, Watermark } from "@lakesync/core";
import { Prng } from "../prng.ts";
import { type BadTime, BadTimes } from "./bad_times.ts";
import { Device } from "./device.ts";
import { type Config, Instance } from "./instance.ts";
import { Issuer } from "./issuer.ts";
import { type KnownLake, LakeWatch } from "./lake_watch.ts";
import { Maintainer } from "./maintainer.ts";
import { Network } from "./network.ts";
import { SimClock } from "./process.ts";
import { PushWatch } from "./push_watch.ts";
import { RulesWatch } from "./rules_watch.ts";
import type { DatabaseKind, LakeKind, LogKind, Schedule } from "./schedule.ts";
import { SharedDatabase } from "./shared_database.ts";
import { type Backup, SharedLog } from "./shared_log.ts";
import { socketsOf } from "./socket_network.ts";
import { SqliteLog } from "./sqlite_log.ts";
import { type LakeBackup, SharedLake } from "./shared_lake.ts";
import type { AppVersion } from "./tables.ts";
import { Trace, type Violation } from "./trace.ts";
import { VirtualTime } from "./virtual_time.ts";

/** Backups of both stores. */
export interface Backups {
  readonly log: Backup;
  readonly lake: LakeBackup;
  readonly known: KnownLake;
  readonly database?: ReadonlyMap<string, Watermark>;
}

/** Devices, instances, a network and two stores, and everything that was ever promised. */
export class World {
  readonly schedule: Schedule;
  readonly time: VirtualTime = new VirtualTime();
  readonly trace: Trace;
  readonly random: Prng;
  readonly storeClock: SimClock;
  readonly log: SharedLog | SqliteLog;
  readonly lake: SharedLake;
  /** What is flushed to behind the lake; undefined where there is nothing. */
  readonly database: SharedDatabase | undefined;
  readonly instances: Instance[] = [];
  /** Who keeps the lake in shape. */
  readonly maintainers: readonly Maintainer[];
  readonly devices: Device[] = [];
  readonly network: Network;
  readonly pushes: PushWatch;
  readonly lakeWatch: LakeWatch;
  readonly rulesWatch: RulesWatch;
  readonly issuer: Issuer | undefined;
  readonly lakeFaults: BadTimes<LakeKind, BadTime<LakeKind> & { readonly commits: boolean }>;
  readonly logFaults: BadTimes<LogKind>;
  readonly databaseFaults: BadTimes<DatabaseKind>;
  violation: Violation | undefined;
  version: AppVersion = 1;
  /** The rules that the operator wants; undefined where there are none yet. */
  rules: Rules | undefined;
  backup: Backups | undefined;
  #count = 0;

  constructor(schedule: Schedule, options: { keepLines: boolean }) {
    this.schedule = schedule;
    const { setting } = schedule;
    const seed = BigInt(schedule.seed) << 16n;
    const time = this.time;
    this.trace = new Trace({ now: () => time.now, keepLines: options.keepLines });
    const trace = this.trace;
    this.random = new Prng(seed + 1n);
    this.storeClock = new SimClock(time, { skewMs: 0, grainMs: setting.grainMs });
    const violate = this.violate;
    const { auth } = setting;
    this.rules = auth?.rules ?? undefined;
    this.issuer = auth && new Issuer(time, {
      clock: new SimClock(time, { skewMs: 0, grainMs: 1 }),
      seconds: auth.tokenSeconds,
      claims: auth.claims,
    });
    const { issuer } = this;
    const line = () => this.log.line;
    this.rulesWatch = new RulesWatch({ time, trace, issuer, line, violate });
    this.pushes = new PushWatch({ trace, violate, line, rules: this.rulesWatch });
    const drawn = { now: () => time.now, random: this.random, trace };
    this.logFaults = new BadTimes("log", drawn);
    this.lakeFaults = new BadTimes("lake", drawn);
    this.databaseFaults = new BadTimes("database", drawn);
    const logOptions = {
      clock: this.storeClock,
      latencyMs: 3,
      trace,
      fault: (name: string) => this.logFaults.draw(name),
      trimmed: (through: number) => this.pushes.trimmed({ through, devices: this.devices }),
      ruled: (text: string | undefined) => this.rulesWatch.stored(text),
      appends: (clientId: string, deltas: readonly Delta[]) =>
        this.pushes.appends(clientId, deltas),
      violate,
    };
    this.log = setting.store === "sqlite"
      ? new SqliteLog({ ...logOptions, time })
      : new SharedLog(logOptions);
    this.lake = new SharedLake({
      time,
      clock: this.storeClock,
      latencyMs: 30,
      rest: setting.lake?.rest,
      trace,
      fault: (name, key) => {
        const commit = name === "commit" || name === "put" && key.endsWith(".metadata.json");
        return this.lakeFaults.draw(
          name,
          ({ kind, commits }) =>
            kind === "half" ? name === "delete" && key.includes(" ") : commit || !commits,
        );
      },
      committed: (table) => void time.hold(this.lakeWatch.committed(table)),
    });
    const { lake } = this;
    this.maintainers = Array.from(
      { length: setting.lake?.maintainers ?? 0 },
      (_, index) =>
        new Maintainer({
          index,
          seed: seed + 0x8000n + 0x100n * BigInt(index),
          time,
          trace,
          lake,
          grainMs: setting.grainMs,
          buckets: setting.lake!.buckets,
        }),
    );
    this.database = setting.database && new SharedDatabase({
      time,
      trace,
      latencyMs: 30,
      fault: (name) => this.databaseFaults.draw(name),
      line,
      violate,
    });
    for (let index = 0; index < setting.instances; index++) {
      this.instances.push(
        new Instance({
          index,
          setting,
          seed: seed + 0x1000n * BigInt(index + 1),
          time,
          trace,
          openLog: (process) => this.log.open(process),
          killed: () => this.log.killed(),
          lake: this.lake,
          database: this.database,
          issuer,
          violate,
        }),
      );
    }
    this.lakeWatch = new LakeWatch({
      lake: this.lake,
      trace,
      random: this.random,
      line,
      epoch: () => this.log.epoch,
      kept: setting.lake !== undefined,
      violate,
    });
    this.network = new Network({
      time,
      trace,
      seed,
      instances: this.instances,
      latencyMs: 20,
      pushes: this.pushes,
      rules: this.rulesWatch,
      violate,
    }, setting.devices.length);
    this.network.storageFails = () => this.logFaults.any;
  }

  /** Devices and instances start. */
  async begin(): Promise<void> {
    for (const index of this.schedule.setting.devices.keys()) {
      this.devices.push(await this.#makeDevice(index));
    }
    void this.instances[0]!.start({ ...this.config, tables: 1 }).then(() => {
      for (const instance of this.instances.slice(1)) void instance.start();
    });
    for (const device of this.devices) this.time.at(0, () => void device.start());
  }

  /** What an operator gives an instance of a new store. */
  get config(): Config {
    const { version, rules } = this;
    return { tables: version, ...(rules !== undefined && { rules }) };
  }

  /** Removes what stands on real disks. */
  async close(): Promise<void> {
    this.lake.close();
    if (this.log instanceof SqliteLog) await this.log.close();
  }

  #makeDevice(index: number): Promise<Device> {
    const { setting, seed } = this.schedule;
    return Device.make({
      index,
      setting: setting.devices[index]!,
      seed: (BigInt(seed) << 16n) + 0x100n * BigInt(index + 1),
      grainMs: setting.grainMs,
      latencyMs: setting.diskMs,
      time: this.time,
      trace: this.trace,
      issuer: this.issuer,
      send: (device, process, request) => this.network.send(device, process, request),
      sockets: (device, process) => socketsOf(this.network, { device, process }),
      count: () => ++this.#count,
      watch: {
        given: (cursor) => this.rulesWatch.given(cursor),
        excused: (delta) => this.pushes.isExcused(delta),
        isDone: (deltaId) => this.pushes.isDone(deltaId),
        refusedAt: (deltaId) => this.pushes.refusedAt(deltaId),
        checked: (what) => this.trace.count(what),
        violate: this.violate,
      },
    });
  }

  readonly violate = (promise: string, details: string): void => {
    if (this.violation !== undefined) return;
    this.violation = { promise, details };
    this.trace.note("BROKEN", promise, details);
    this.time.stop();
  };
}
