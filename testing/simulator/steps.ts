import type { Instance } from "./instance.ts";
import type { Step } from "./schedule.ts";
import { SqliteLog } from "./sqlite_log.ts";
import type { Backups, World } from "./world.ts";

/** So long an instance is down that died while it flushed. */
const DOWN_MS = 3_000;

/** Does a step of the schedule; nobody waits for what it begins. */
export function doStep(world: World, step: Step): void {
  const { now } = world.time;
  world.trace.note("step", JSON.stringify(step));
  const device = "device" in step ? world.devices[step.device] : undefined;
  const instance = "instance" in step ? world.instances[step.instance] : undefined;
  switch (step.do) {
    case "write":
      return void device!.write(step.writes);
    case "sync":
      return void device!.sync();
    case "pause":
      if (device!.client === undefined) return;
      world.trace.count("offline");
      device!.client.pause();
      world.time.at(now + step.ms, () => device!.client?.resume());
      return;
    case "kill device":
      device!.kill();
      world.time.at(now + step.ms, () => device!.ensure());
      return;
    case "restart device":
      if (device!.client === undefined) return;
      world.trace.count("restart device");
      return void device!.close().then(() => device!.ensure());
    case "upgrade device":
      if (device!.client === undefined || device!.watch.version === 2) return;
      world.trace.count("upgrade device");
      return void device!.close().then(() => device!.ensure(2));
    case "freeze device":
      world.trace.count("freeze device");
      return device!.freeze(step.ms);
    case "device clock":
      world.trace.count("device clock");
      device!.clock.skewMs = step.skewMs;
      return;
    case "kill gateway":
      instance!.kill();
      world.time.at(now + step.ms, () => instance!.ensure());
      return;
    case "restart gateway":
      return void instance!.restart();
    case "freeze gateway":
      world.trace.count("freeze gateway");
      return instance!.freeze(step.ms);
    case "gateway clock":
      world.trace.count("gateway clock");
      world.storeClock.skewMs = step.skewMs;
      return;
    case "upgrade gateway":
      return void upgrade(world, instance!);
    case "flush":
      if (step.dies !== undefined) dieFlushing(world, instance!, step.dies);
      return void instance!.flush();
    case "maintain":
      return void world.maintainers[step.maintainer]!.run(step);
    case "freeze maintainer":
      return world.maintainers[step.maintainer]!.freeze(step.ms);
    case "analyse":
      return void analyse(world);
    case "net":
      return world.network.disturb(step.device, { ...step, until: now + step.ms });
    case "partition":
      return world.network.cut(step.device, step.instance, now + step.ms);
    case "lake":
      return world.lakeFaults.add({ ...step, until: now + step.ms });
    case "database":
      return world.databaseFaults.add({ ...step, until: now + step.ms });
    case "log":
      return world.logFaults.add({ ...step, until: now + step.ms });
    case "rules":
      world.rules = step.rules;
      return void instance!.putRules(step.rules);
    case "claims":
      world.trace.count("claims change");
      return world.issuer?.change(step.sub, step.claims);
    case "backup":
      return void world.time.hold(backUp(world));
    case "restore":
      if (world.backup === undefined) return;
      return void world.time.hold(restore(world, world.backup, step.keepLake));
    case "reset":
      return reset(world, step.keepLake);
  }
}

/** An operator puts the next version's tables to an instance; whether that was taken. */
export async function upgrade(world: World, instance: Instance): Promise<boolean> {
  if (!await instance.putTables(2)) return false;
  world.version = 2;
  world.trace.count("upgrade gateway");
  return true;
}

/** Somebody reads the lake while all goes on. */
async function analyse(world: World): Promise<void> {
  world.trace.count("analyse");
  await world.time.hold(world.lakeWatch.check(world.version, { complete: false }));
}

/** Both stores at one moment. */
async function backUp(world: World): Promise<void> {
  if (world.log instanceof SqliteLog) return;
  const log = await world.log.backup();
  const database = world.database?.backup();
  const { known } = world.lakeWatch;
  world.backup = {
    log,
    lake: await world.lake.backup(),
    known,
    ...(database !== undefined && { database }),
  };
}

/** The instance dies at one of its next requests to the lake. */
function dieFlushing({ lake, time, trace }: World, instance: Instance, requests: number): void {
  const { process } = instance;
  if (process === undefined) return;
  lake.dieAfter(process, requests, () => {
    trace.count("kill within a flush");
    instance.kill();
    time.at(time.now + DOWN_MS, () => instance.ensure());
  });
}

async function restore(world: World, backup: Backups, keepLake?: number): Promise<void> {
  if (world.log instanceof SqliteLog) return;
  world.trace.count("restore");
  for (const instance of world.instances) instance.kill();
  world.network.storeChanged();
  world.pushes.restored({ head: backup.log.head, devices: world.devices });
  const kept = keepLake !== undefined;
  const { known } = kept ? world.lakeWatch : backup;
  await world.log.restore(backup.log);
  world.database?.replace(backup.database);
  // Whoever is on the way to the lake is not there any more: only what comes from now on counts.
  await world.lake.restore(kept ? await world.lake.backup() : backup.lake);
  world.lakeWatch.begin(known);
  if (world.lakeWatch.isAhead) {
    world.trace.count("lake ahead");
    world.time.at(world.time.now + (keepLake ?? 0), () => giveNewLake(world));
  }
  for (const instance of world.instances) instance.ensure(world.config);
}

/** An operator gives the instances another lake, where theirs is ahead of the log. */
export function giveNewLake(world: World): void {
  if (!world.lakeWatch.isAhead) return;
  world.trace.note("world", "has another lake");
  for (const instance of world.instances) instance.kill();
  world.lake.replace();
  world.database?.replace();
  // What is trimmed before the next flush no changelog gets any more: such a lake begins with the rows.
  const origin = world.log.line;
  world.lakeWatch.begin({ marks: new Map(), origin, before: [], isRebuilt: true });
  for (const instance of world.instances) instance.ensure(world.config);
}

function reset(world: World, keepLake: boolean): void {
  if (world.log instanceof SqliteLog) return;
  world.trace.count("reset");
  for (const instance of world.instances) instance.kill();
  const { known } = world.lakeWatch;
  if (!keepLake) {
    world.lake.replace();
    world.database?.replace();
  }
  const before = keepLake ? [...known.before, known.origin] : [];
  world.log.reset();
  world.lakeWatch.begin({
    marks: keepLake ? known.marks : new Map(),
    origin: world.log.line,
    before,
    isRebuilt: false,
  });
  world.network.storeChanged();
  world.backup = undefined;
  for (const instance of world.instances) instance.ensure(world.config);
}
