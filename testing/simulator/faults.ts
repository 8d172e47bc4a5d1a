import type { LakeKind, LogKind, NetKind, Step } from "./schedule.ts";
import { LONG_MS, type Timeline, type WithoutTime } from "./timeline.ts";

const NET_KINDS: readonly NetKind[] = [
  "drop request",
  "drop answer",
  "reset",
  "duplicate",
  "delay",
  "break off",
];
const LAKE_KINDS: readonly LakeKind[] = ["unavailable", "lose-answer", "linger"];
const LOG_KINDS: readonly LogKind[] = ["fail", "lose-answer"];

/** What may go wrong in a run: each run has its own choice, so that rare things meet often in some. */
export type Feature =
  | "net"
  | "partition"
  | "kill device"
  | "kill gateway"
  | "freeze"
  | "device clock"
  | "gateway clock"
  | "lake"
  | "log"
  | "upgrade"
  | "flush"
  | "offline";

export const FEATURES: readonly Feature[] = [
  "net",
  "partition",
  "kill device",
  "kill gateway",
  "freeze",
  "device clock",
  "gateway clock",
  "lake",
  "log",
  "upgrade",
  "flush",
  "offline",
];

/** How often which is drawn. */
export const DRAWN: readonly Feature[] = [
  ...FEATURES,
  "net",
  "net",
  "kill device",
  "kill device",
  "kill gateway",
  "freeze",
];

/** Adds steps in which that goes wrong. */
export function addFault(plan: Timeline, feature: Feature): void {
  const { random } = plan;
  const device = plan.device();
  const instance = plan.instance();
  switch (feature) {
    case "net":
      return plan.add({
        do: "net",
        device,
        kind: random.pick(NET_KINDS),
        chance: random.pick([0.1, 0.3, 0.7, 1]),
        ms: random.int(500, 40_000),
      });
    case "partition":
      return plan.add({ do: "partition", device, instance, ms: random.int(500, 60_000) });
    case "kill device":
      if (random.chance(0.3)) return plan.add({ do: "restart device", device });
      return soonAfterWork(plan, device, {
        do: "kill device",
        device,
        ms: random.int(1, 30_000),
      });
    case "kill gateway":
      if (random.chance(0.2)) return plan.add({ do: "restart gateway", instance });
      return soonAfterWork(plan, device, {
        do: "kill gateway",
        instance,
        ms: random.int(1, 30_000),
      });
    case "freeze": {
      const ms = random.pick([500, 5_000, 65_000]);
      if (random.chance(0.3)) return plan.add({ do: "freeze device", device, ms });
      if (random.chance(0.5)) plan.add({ do: "flush", instance });
      plan.at += random.int(0, 150);
      plan.add({ do: "freeze gateway", instance, ms });
      if (ms < 60_000) return;
      // Another instance takes over when the lease is over.
      plan.at += random.int(58_000, 66_000);
      return plan.add({ do: "flush", instance: plan.instance() });
    }
    case "device clock":
      return plan.add({
        do: "device clock",
        device,
        skewMs: random.pick([0, 4_000, -4_000, 120_000, -3_600_000, 3_600_000]),
      });
    case "gateway clock":
      return plan.add({ do: "gateway clock", skewMs: random.pick([0, -20_000, 3_000, 20_000]) });
    case "lake":
      plan.add({
        do: "lake",
        kind: random.pick(LAKE_KINDS),
        commits: random.chance(0.5),
        chance: random.pick([0.05, 0.2, 0.5, 1]),
        ms: random.pick([2_000, 20_000, 20_000, 200_000]),
      });
      return plan.add({ do: "flush", instance });
    case "log":
      return plan.add({
        do: "log",
        kind: random.pick(LOG_KINDS),
        chance: random.pick([0.1, 0.5]),
        ms: random.int(500, 20_000),
      });
    case "upgrade":
      if (random.chance(0.5)) return plan.add({ do: "upgrade gateway", instance });
      return plan.add({ do: "upgrade device", device });
    case "flush":
      plan.add({ do: "flush", instance });
      if (random.chance(0.5)) plan.add({ do: "analyse" });
      if (random.chance(0.3)) {
        plan.at += random.int(0, 300);
        plan.add({ do: "flush", instance: plan.instance() });
      }
      return;
    case "offline":
      return plan.add({ do: "pause", device, ms: random.int(1_000, LONG_MS) });
  }
}

/** A kill while something is going on. */
function soonAfterWork(plan: Timeline, device: number, step: WithoutTime<Step>): void {
  const { random } = plan;
  if (random.chance(0.5)) plan.write(device);
  plan.add(
    random.chance(0.7) ? { do: "sync", device } : { do: "flush", instance: plan.instance() },
  );
  plan.at += random.int(0, 200);
  plan.add(step);
}

/** In some runs the gateway's store is lost, or an older one is put back. */
export function addDisaster(plan: Timeline): void {
  const { random } = plan;
  const kind = random.int(0, 9);
  if (kind > 1 || plan.steps.length < 10) return;
  const somewhere = () => random.int(2_000, Math.max(3_000, plan.at));
  if (kind === 0) {
    plan.steps.push({ at: somewhere(), do: "reset", keepLake: random.chance(0.5) });
  } else {
    const [first, second] = [somewhere(), somewhere()].sort((a, b) => a - b);
    plan.steps.push({ at: first!, do: "backup" }, { at: second! + 1, do: "restore" });
  }
}
