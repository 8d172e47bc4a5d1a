import { checkStore } from "./log_check.ts";
import { upgrade } from "./steps.ts";
import type { World } from "./world.ts";

/** After the last step, so much time may pass until everybody agrees. */
const QUIET_MS = 900_000;
const POLL_MS = 5_000;
/** Longer than a lease that a killed flusher has left. */
const FLUSH_TRIES = 20;

/** All faults are over; then everybody has to agree before long. */
export async function fallQuiet(world: World, end: number): Promise<void> {
  world.trace.note("world", "all faults are over");
  world.network.heal();
  world.lakeFaults.end();
  world.logFaults.end();
  for (const instance of world.instances) {
    instance.thaw();
    instance.ensure();
  }
  for (const device of world.devices) {
    device.thaw();
    device.ensure();
    device.client?.resume();
  }
  let now = end;
  let schema = world.version === 2 || world.devices.every(({ watch }) => watch.version === 1);
  for (; now < end + QUIET_MS; now += POLL_MS) {
    await world.time.run(now);
    if (world.time.stopped || (schema && agree(world))) return;
    if (!schema) {
      for (const instance of world.instances) {
        void upgrade(world, instance).then((put) => schema ||= put);
      }
    }
    for (const [i, device] of world.devices.entries()) {
      if (!world.schedule.setting.devices[i]!.auto) void device.sync();
    }
  }
  const stands = world.devices.map(({ clientId, client, watch }) =>
    `${clientId} at seq ${watch.base.seq}, ${watch.pending} pending, ${
      JSON.stringify(client?.status ?? null)
    }`
  );
  world.violate(
    "everybody agrees once it is quiet",
    `the log is at ${world.log.line.head}, ${stands.join("; ")}`,
  );
}

function agree(world: World): boolean {
  const { line } = world.log;
  return world.devices.every(({ watch }) =>
    watch.base.line === line && watch.base.seq === line.head && watch.pending === 0 &&
    !watch.evolved
  );
}

/** Every device, and every log, has what was acknowledged. */
export async function checkLogs(world: World): Promise<void> {
  const { line } = world.log;
  for (const device of world.devices) {
    await device.watch.checkShown(line.rowsAt(line.head), "in the end");
    for (const delta of device.watch.own) {
      if (line.seqOf(delta.deltaId) === undefined && !world.pushes.isExcused(delta)) {
        world.violate("an accepted delta is never lost", `${delta.deltaId} is not in the log`);
      }
    }
  }
  world.trace.count("check log");
  await checkStore(world.log.peek(), line, world.violate);
}

/** A flush brings the lake to the log's head. */
export async function checkLake(world: World): Promise<void> {
  const { head } = world.log.line;
  for (let i = 0; i < FLUSH_TRIES; i++) {
    const flushing = world.instances[i % world.instances.length]!.flush();
    await world.time.run(world.time.now + 10_000);
    const flushed = await Promise.race([flushing, Promise.resolve(undefined)]);
    if (world.time.stopped) return;
    if (flushed === head) {
      return await world.lakeWatch.check(world.version, { complete: true });
    }
  }
  world.violate("a flush succeeds once it is quiet", `not up to ${head}`);
}
