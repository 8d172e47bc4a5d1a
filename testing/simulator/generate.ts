import { Prng } from "../prng.ts";
import { addDisaster, addFault, DRAWN, type Feature, FEATURES } from "./faults.ts";
import { addPattern } from "./patterns.ts";
import type { DeviceSetting, Schedule, Setting } from "./schedule.ts";
import { LONG_MS, Timeline } from "./timeline.ts";

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
  return { seed, setting, steps: plan.steps.sort((a, b) => a.at - b.at) };
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
