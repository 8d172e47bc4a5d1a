import { Prng } from "../prng.ts";
import type { DeleteForm, LakeKind, Schedule, Step, WriteSpec } from "./schedule.ts";

const FORMS: readonly DeleteForm[] = ["rewrite", "positions", "vectors", "equality"];
const KINDS: readonly LakeKind[] = ["unavailable", "lose-answer", "linger", "slow", "half"];
/** So many more rows, that a bucket has some that stay when others change. */
const MORE_ROWS = 36;
/** How often some of them change in the end. */
const ROUNDS = 3;
/** The most of one transaction. */
const AT_ONCE = 4;

/** The same schedule with a lake that is kept in shape, and more that happens to it. */
export function addLake(schedule: Schedule): Schedule {
  const { setting } = schedule;
  const random = new Prng(BigInt(schedule.seed) + (4n << 32n));
  const maintainers = random.pick([1, 2, 2]);
  const steps = [...schedule.steps];
  const end = Math.max(60_000, steps.at(-1)?.at ?? 0);
  const device = random.int(0, setting.devices.length - 1);
  const instance = (): number => random.int(0, setting.instances - 1);
  const dies = (most: number): { dies?: number } =>
    random.chance(0.35) ? { dies: random.int(1, most) } : {};
  const row = (i: number): WriteSpec => ({
    table: i % 9 === 8 ? "notes" : "items",
    id: `x${i}`,
    how: "change",
    columns: 15,
  });
  const form = random.pick(FORMS);
  const maintain = (at: number): Step => ({
    at,
    do: "maintain",
    maintainer: random.int(0, maintainers - 1),
    // Mostly one form in a world: it has to go on from its own.
    deletes: random.chance(0.7) ? form : random.pick(FORMS),
    ...dies(60),
  });
  /** What goes wrong for a moment with what commits: it is done, or will be, and nobody is told. */
  const badCommits = (at: number): Step => ({
    at,
    do: "lake",
    kind: random.pick(["lose-answer", "linger", "unavailable"]),
    commits: true,
    chance: random.pick([0.5, 1]),
    ms: random.int(300, 3_000),
  });
  for (let i = 0; i < MORE_ROWS; i += AT_ONCE) {
    const writes = Array.from({ length: AT_ONCE }, (_, j) => row(i + j));
    steps.push({ at: 3_000 + i, do: "write", device, writes });
  }
  steps.push({ at: 3_100, do: "sync", device });
  // Flush upon flush, so that there are small files and snapshots enough.
  for (let i = random.int(4, 14); i > 0; i--) {
    const at = random.int(4_000, end);
    const change: WriteSpec = {
      ...row(random.int(0, MORE_ROWS - 1)),
      how: random.chance(0.2) ? "delete" : "change",
      columns: random.int(1, 15),
    };
    steps.push({ at, do: "write", device, writes: [change] }, { at: at + 1, do: "sync", device });
    const after = at + random.int(200, 2_000);
    steps.push({ at: after, do: "flush", instance: instance(), ...dies(20) });
    if (random.chance(0.3)) steps.push(badCommits(after));
    if (random.chance(0.25)) steps.push(maintain(after + random.int(500, 1_500)));
  }
  for (let i = random.int(3, 8); i > 0; i--) {
    const at = random.int(5_000, end + 5_000);
    steps.push(maintain(at));
    if (random.chance(0.3)) steps.push(badCommits(at + random.int(0, 1_500)));
    if (random.chance(0.6)) steps.push(maintain(at + random.int(0, 1_500)));
    if (random.chance(0.6)) {
      steps.push({
        at: at + random.int(0, 2_000),
        do: "flush",
        instance: instance(),
        ...dies(20),
      });
    }
    if (random.chance(0.15)) {
      const maintainer = random.int(0, maintainers - 1);
      const ms = random.pick([5_000, 65_000]);
      steps.push({ at: at + random.int(0, 1_500), do: "freeze maintainer", maintainer, ms });
    }
    if (random.chance(0.3)) steps.push({ at: at + random.int(500, 4_000), do: "analyse" });
  }
  for (let i = random.int(0, 4); i > 0; i--) {
    const kind = random.pick(KINDS);
    // Little is removed: what goes wrong with that lasts longer.
    const half = kind === "half";
    steps.push({
      at: random.int(3_000, end),
      do: "lake",
      kind,
      commits: random.chance(0.5),
      chance: half ? 1 : random.pick([0.1, 0.3, 0.6]),
      ms: half ? 600_000 : random.pick([2_000, 20_000]),
    });
  }
  // Some rows change, and again: what was gone before stays gone.
  for (let i = 0; i < ROUNDS; i++) {
    const at = end + 15_000 + i * 5_000;
    const write: WriteSpec = { ...row(random.int(0, MORE_ROWS - 5)), columns: random.int(1, 15) };
    steps.push(
      { at, do: "write", device, writes: [write] },
      { at: at + 50, do: "sync", device },
      { at: at + 900, do: "flush", instance: instance() },
      { at: at + 2_000, do: "maintain", maintainer: 0, deletes: form },
    );
  }
  const disaster = steps.some(({ do: what }) => what === "restore" || what === "reset");
  if (!disaster && random.chance(0.4)) steps.push(...restoredLog());
  steps.push(...flushesAmidUpkeep(new Prng(BigInt(schedule.seed) + (5n << 32n))));
  const rest = random.chance(0.5) ? { rest: { idempotent: random.chance(0.5) } } : {};
  return {
    ...schedule,
    setting: { ...setting, lake: { maintainers, buckets: random.pick([1, 1, 2]), ...rest } },
    steps: steps.map(keptLake).sort((a, b) => a.at - b.at),
  };

  /** In some worlds small files come one by one, also while they are folded and merged. */
  function flushesAmidUpkeep(random: Prng): Step[] {
    if (random.chance(0.6)) return [];
    const some: Step[] = [];
    let at = random.int(4_000, end);
    for (let i = random.int(8, 14); i > 0; i--) {
      some.push(
        { at, do: "write", device, writes: [row(random.int(0, MORE_ROWS - 1))] },
        { at: at + 1, do: "sync", device },
        { at: at + random.int(150, 600), do: "flush", instance: 0 },
      );
      if (i < 6) {
        const maintainer = random.int(0, maintainers - 1);
        some.push({ at: at + random.int(0, 600), do: "maintain", maintainer, deletes: form });
      }
      at += random.int(600, 1_200);
    }
    return some;
  }

  /** The log alone is put back to where it was some flushes ago, and grows beyond the lake. */
  function restoredLog(): Step[] {
    const at = random.int(5_000, end);
    const again: Step[] = [];
    for (let after = 300; after < 30_000; after += random.int(1_000, 6_000)) {
      const writes = Array.from({ length: random.int(1, AT_ONCE) }, (_, i) => row(i));
      again.push(
        { at: at + after, do: "write", device, writes },
        { at: at + after + 50, do: "sync", device },
        { at: at + after + random.int(400, 900), do: "flush", instance: instance() },
      );
    }
    return [
      { at, do: "backup" },
      ...again,
      { at: at + random.int(3_000, 15_000), do: "restore", keepLake: random.int(2_000, 60_000) },
    ];
  }

  /** In half of the restores the lake is left as it is: ahead of the log. */
  function keptLake(step: Step): Step {
    if (step.do !== "restore" || step.keepLake !== undefined || random.chance(0.4)) return step;
    return { ...step, keepLake: random.pick([2_000, 30_000, 90_000]) };
  }
}
