import { Prng } from "../prng.ts";
import { addDisaster, addFault, DRAWN, type Feature, FEATURES } from "./faults.ts";
import { addLake } from "./lake_generate.ts";
import { addPattern } from "./patterns.ts";
import { addRules } from "./rules_generate.ts";
import type { DatabaseKind, DeviceSetting, Schedule, Setting } from "./schedule.ts";
import { LONG_MS, Timeline } from "./timeline.ts";

/** One seed in so many has users, tokens and rules. */
const RULED = 3;
/** One seed in so many has a lake that is kept in shape. */
const KEPT = 7;
/** One seed in so many has devices with WebSockets. */
const SOCKETED = 4;
/** One seed in so many has a database behind the lake. */
const WITH_DATABASE = 3;
const DATABASE_KINDS: readonly DatabaseKind[] = ["fail", "half", "lose-answer", "late", "hang"];

/** The schedule of a seed. */
export function generate(seed: number): Schedule {
  const random = new Prng(seed);
  const setting = makeSetting(random);
  const features = new Set(FEATURES.filter(() => random.chance(0.5)));
  const plan = new Timeline(random, setting);
  plan.at = random.int(0, 2_000);
  const count = random.int(20, 70);
  for (let i = 0; i < count; i++) {
    addSome(plan, features);
    pass(plan);
  }
  addDisaster(plan);
  const schedule = { seed, setting, steps: plan.steps.sort((a, b) => a.at - b.at) };
  const kept = seed % KEPT === 2 ? addLake(schedule) : schedule;
  const stored = seed % WITH_DATABASE === 1 ? addDatabase(kept) : kept;
  const socketed = seed % SOCKETED === 0 ? addSockets(stored) : stored;
  return seed % RULED === 0 ? addRules(socketed) : socketed;
}

/** The same schedule with a database behind the lake, of which some fail, hang or answer late. */
function addDatabase(schedule: Schedule): Schedule {
  const random = new Prng(BigInt(schedule.seed) + (3n << 32n));
  const steps = [...schedule.steps];
  const end = steps.at(-1)?.at ?? 0;
  for (let i = random.int(0, 6); i > 0; i--) {
    const at = random.int(1_000, end + 1_000);
    steps.push({
      at,
      do: "database",
      kind: random.pick(DATABASE_KINDS),
      chance: random.pick([0.3, 0.5, 1]),
      ms: random.pick([2_000, 20_000, 100_000]),
    });
    const instance = random.int(0, schedule.setting.instances - 1);
    steps.push({ at: at + random.int(1, 1_000), do: "flush", instance });
  }
  return {
    ...schedule,
    setting: { ...schedule.setting, database: true },
    steps: steps.sort((a, b) => a.at - b.at),
  };
}

/** The same schedule with WebSockets for those devices that sync by themselves. */
function addSockets(schedule: Schedule): Schedule {
  const { setting } = schedule;
  const random = new Prng(BigInt(schedule.seed) + (2n << 32n));
  const devices = setting.devices.map((device): DeviceSetting =>
    device.auto && random.chance(0.8)
      ? { ...device, live: true, socket: random.pick(["json", "json", "protobuf"]) }
      : device
  );
  const steps = [...schedule.steps];
  const end = steps.at(-1)?.at ?? 0;
  for (let i = random.int(1, 5); i > 0; i--) {
    steps.push({
      at: random.int(1_000, end + 1_000),
      do: "net",
      device: random.int(0, devices.length - 1),
      kind: random.pick(["drop request", "drop answer", "reset", "delay"]),
      chance: random.pick([0.1, 0.3, 1]),
      ms: random.int(500, 30_000),
    });
  }
  return {
    ...schedule,
    setting: { ...setting, devices },
    steps: steps.sort((a, b) => a.at - b.at),
  };
}

function makeSetting(random: Prng): Setting {
  const store = random.chance(0.03) ? "sqlite" : "shared";
  const instances = store === "sqlite" ? 1 : random.pick([1, 1, 2, 2, 3]);
  return {
    devices: Array.from({ length: random.pick([2, 3, 3, 4]) }, () => makeDevice(random)),
    instances,
    store,
    pageItems: random.pick([1, 2, 3, 100]),
    pageBytes: random.pick([300, 700, 8_388_608]),
    pushDeltas: random.pick([6, 6, 10_000]),
    grainMs: random.pick([1, 1, 1_000, 10_000]),
    diskMs: random.pick([0.5, 1.5, 15]),
    instanceSkewMs: Array.from(
      { length: instances },
      () => random.pick([0, 0, -3_000, 20_000, -3_600_000]),
    ),
  };
}

function makeDevice(random: Prng): DeviceSetting {
  const auto = random.chance(0.6);
  return {
    skewMs: random.pick([0, 0, 0, 2_000, -120_000, 120_000, 3_600_000]),
    auto,
    live: auto && random.chance(0.5),
    intervalMs: random.pick([5_000, 20_000, 60_000]),
  };
}

/** Some time passes: mostly little, now and then more than the log is kept. */
function pass(plan: Timeline): void {
  const { random } = plan;
  const kind = random.int(0, 99);
  if (kind < 40) plan.at += random.int(0, 60);
  else if (kind < 92) plan.at += random.int(0, 4_000);
  else if (kind < 98) plan.at += random.int(5_000, 40_000);
  else plan.at += LONG_MS;
}

/** Something happens: work, or what may go wrong in this run. */
function addSome(plan: Timeline, features: ReadonlySet<Feature>): void {
  const { random } = plan;
  const kind = random.int(0, 99);
  if (kind < 45) return plan.write();
  if (kind < 62) return plan.add({ do: "sync", device: plan.device() });
  if (kind < 66) return addPattern(plan);
  const feature = random.pick(DRAWN);
  if (features.has(feature)) addFault(plan, feature);
  else plan.write();
}
