import { ORPHAN_MS } from "./maintainer.ts";
import { giveNewLake } from "./steps.ts";
import type { World } from "./world.ts";

/** Longer than a lease that a killed flusher has left. */
const FLUSH_TRIES = 20;
/** Longer than a flusher waits for a database that hangs. */
const DATABASE_FLUSH_TRIES = 150;
const POLL_MS = 10_000;
/** So many times a run of upkeep may fail by what is left of faults: requests on their way. */
const UPKEEP_TRIES = 5;
/** Longer than any run of upkeep takes. */
const UPKEEP_MS = 120_000;

/** A flush brings the lake, and what is behind it, to the log's head; and upkeep succeeds. */
export async function checkLake(world: World): Promise<void> {
  giveNewLake(world);
  const { time, lakeWatch, version } = world;
  if (!await flushAll(world)) return;
  if (world.maintainers.length > 0) {
    await lakeWatch.check(version, { complete: false });
    if (!time.stopped) await keepAll(world);
  }
  if (!time.stopped) await lakeWatch.check(version, { complete: true });
}

/** Whether a flush came to the log's head, and the database too. */
async function flushAll(world: World): Promise<boolean> {
  const { head } = world.log.line;
  const { database, time } = world;
  const tries = database === undefined ? FLUSH_TRIES : DATABASE_FLUSH_TRIES;
  for (let i = 0; i < tries; i++) {
    const flushing = world.instances[i % world.instances.length]!.flush();
    await time.run(time.now + POLL_MS);
    const flushed = await Promise.race([flushing, Promise.resolve(undefined)]);
    if (time.stopped) return false;
    if (flushed !== head) continue;
    const fault = database?.fault(world.log.epoch);
    if (fault !== undefined) world.violate("a destination catches up once it is quiet", fault);
    return fault === undefined;
  }
  world.violate("a flush succeeds once it is quiet", `not up to ${head}`);
  return false;
}

/** Everybody who keeps the lake does so at once, one dies; later what is left behind is removed. */
async function keepAll(world: World): Promise<void> {
  const { maintainers, time, random, devices } = world;
  // Nobody asks for anything any more while time passes.
  for (const device of devices) device.kill();
  const deletes = random.pick(["rewrite", "positions", "vectors", "equality"] as const);
  for (const [i, maintainer] of maintainers.entries()) {
    void maintainer.run({ deletes, ...(i === 0 && { dies: random.int(1, 50) }) });
  }
  await time.run(time.now + ORPHAN_MS + UPKEEP_MS);
  const [maintainer] = maintainers;
  maintainer!.kill();
  let last = "no run came to its end";
  for (let i = 0; i < UPKEEP_TRIES && !time.stopped; i++) {
    const running = maintainer!.run({ deletes });
    await time.run(time.now + UPKEEP_MS);
    const outcome = await Promise.race([running, Promise.resolve(undefined)]);
    if (outcome === undefined) continue;
    if (!outcome.ok) last = outcome.error.message;
    else {
      const failed = outcome.value.steps.find(({ step }) => step === "failed");
      if (failed === undefined) return;
      last = failed.step === "failed" ? `${failed.during}: ${failed.error.message}` : "";
    }
  }
  if (!time.stopped) world.violate("upkeep succeeds once it is quiet", last);
}
