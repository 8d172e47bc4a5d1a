import type { Device } from "./device.ts";
import { checkStore } from "./log_check.ts";
import type { OracleRows } from "./oracle.ts";
import { rowsFor, type View } from "./rules_oracle.ts";
import { upgrade } from "./steps.ts";
import type { World } from "./world.ts";

/** After the last step, so much time may pass until everybody agrees. */
const QUIET_MS = 900_000;
const POLL_MS = 5_000;

/** All faults are over; then everybody has to agree before long. */
export async function fallQuiet(world: World, end: number): Promise<void> {
  world.trace.note("world", "all faults are over");
  world.network.heal();
  world.lakeFaults.end();
  world.logFaults.end();
  world.databaseFaults.end();
  for (const instance of world.instances) {
    instance.thaw();
    instance.ensure();
  }
  for (const maintainer of world.maintainers) maintainer.thaw();
  for (const device of world.devices) {
    device.thaw();
    device.ensure();
    device.client?.resume();
  }
  let now = end;
  let rules = world.rules === undefined;
  let schema = world.version === 2 || world.devices.every(({ watch }) => watch.version === 1);
  for (; now < end + QUIET_MS; now += POLL_MS) {
    await world.time.run(now);
    if (world.time.stopped || (schema && rules && agree(world))) return;
    if (!schema) {
      for (const instance of world.instances) {
        void upgrade(world, instance).then((put) => schema ||= put);
      }
    }
    if (!rules) {
      void world.instances[0]!.putRules(world.rules!).then((put) => rules ||= put);
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
  return world.devices.every((device) => {
    const { base, pending, evolved } = device.watch;
    if (base.line !== line || base.seq !== line.head || pending > 0 || evolved) return false;
    const may = rowsText(rowsFor(viewOf(world, device), line.rowsAt(line.head)));
    return base.views.every((view) => rowsText(rowsFor(view, line.rowsAt(line.head))) === may);
  });
}

/** Which rows these are. */
function rowsText(rows: OracleRows): string {
  return [...rows].map(([table, byId]) => `${table}: ${[...byId.keys()].sort().join()}`).join();
}

/** What a device may see in the end. */
function viewOf({ rules, issuer }: World, { sub }: Device): View {
  return { rules, claims: issuer?.claimsOf(sub) ?? {} };
}

/** Every device, and every log, has what was acknowledged. */
export async function checkLogs(world: World): Promise<void> {
  const { line } = world.log;
  for (const device of world.devices) {
    const rows = rowsFor(viewOf(world, device), line.rowsAt(line.head));
    await whileTimePasses(world, device.watch.checkShown([rows], "in the end"));
    if (world.issuer !== undefined) world.trace.count("check allowed rows in the end");
    for (const delta of device.watch.own) {
      const { pushes } = world;
      if (pushes.isExcused(delta) || pushes.isDone(delta.deltaId)) continue;
      if (line.seqOf(delta.deltaId) === undefined) {
        world.violate("an accepted delta is never lost", `${delta.deltaId} is not in the log`);
      }
    }
  }
  world.trace.count("check log");
  await checkStore(world.log.peek(), line, world.violate);
}

/** Waits for what may have to wait for a device's transaction, and that for its disk. */
async function whileTimePasses({ time }: World, work: Promise<void>): Promise<void> {
  let done = false;
  const settled = work.finally(() => done = true);
  // The failure is thrown below.
  settled.catch(() => {});
  while (!done && !time.stopped) await time.run(time.now + POLL_MS);
  if (done) await settled;
}
