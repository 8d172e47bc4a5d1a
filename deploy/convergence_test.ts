import { test, withTempDir } from "@lakesync/testing";
import { assert } from "@std/assert";
import * as fc from "fast-check";
import type { Write } from "./testdata/device.ts";
import type { LakeFault } from "./testdata/machine.ts";
import type { NetworkFault } from "./testdata/network.ts";
import { DEVICES, type Setting, type Step, World } from "./testdata/world.ts";

const RUNS = 40;

const setting: fc.Arbitrary<Setting> = fc.record({
  log: fc.constantFrom("sqlite", "sqlite", "memory"),
  lake: fc.constantFrom("memory", "memory", "file"),
  pageItems: fc.constantFrom(1, 2, 3),
  offsets: fc.array(fc.constantFrom(0, -120_000, 120_000, -3_600_000, 3_600_000), {
    minLength: DEVICES,
    maxLength: DEVICES,
  }),
});

const device = fc.nat({ max: DEVICES - 1 });
const write: fc.Arbitrary<Write> = fc.record({
  table: fc.constantFrom("items", "items", "notes"),
  id: fc.constantFrom("r1", "r1", "r\u{1f600}"),
  how: fc.nat({ max: 9 }),
  seed: fc.nat(),
});
const writes = fc.array(write, { minLength: 1, maxLength: 3 });
const networkFault: fc.Arbitrary<NetworkFault> = fc.oneof(
  { weight: 12, arbitrary: fc.constant("none" as const) },
  {
    weight: 6,
    arbitrary: fc.constantFrom("lose request", "lose answer", "lose answer", "repeat"),
  },
  { weight: 2, arbitrary: fc.constant("kill after" as const) },
  { weight: 1, arbitrary: fc.record({ killAfterTurns: fc.nat({ max: 4 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      keep: fc.double({ min: 0, max: 0.999, noNaN: true }),
      wholeLines: fc.boolean(),
      error: fc.boolean(),
    }),
  },
);
const networkFaults = fc.oneof(
  { weight: 2, arbitrary: fc.array(networkFault, { maxLength: 4 }) },
  // So many pages and no more.
  {
    weight: 1,
    arbitrary: fc.nat({ max: 4 }).map((count): NetworkFault[] => [
      ...Array<NetworkFault>(count).fill("none"),
      "lose request",
    ]),
  },
);
const lakeFault: fc.Arbitrary<LakeFault> = fc.oneof(
  fc.constantFrom("fail", "lose-answer", "lose-answer", "kill"),
  fc.record({ fullAfterBytes: fc.nat({ max: 500 }) }),
);
const lakeFaults = fc.array(
  fc.tuple(fc.oneof(fc.nat({ max: 30 }), fc.constantFrom(-1, -2)), lakeFault),
  { maxLength: 2 },
);

function step<const Name extends Step["do"], Rest>(
  weight: number,
  name: Name,
  rest: { [K in keyof Rest]: fc.Arbitrary<Rest[K]> },
): { weight: number; arbitrary: fc.Arbitrary<{ do: Name } & Rest> } {
  return {
    weight,
    arbitrary: fc.record(rest).map((rest) => ({ do: name, ...rest as Rest })),
  };
}

const single: fc.Arbitrary<Step> = fc.oneof(
  step(12, "write", { device, writes }),
  step(10, "sync", { device, faults: networkFaults }),
  step(2, "write during sync", { device, writes }),
  step(2, "flush during sync", { device, faults: lakeFaults }),
  step(3, "flush", { faults: lakeFaults }),
  step(1, "overtaken flush", { place: fc.oneof(fc.nat({ max: 15 }), fc.constant(-1)) }),
  step(2, "ingest", { writes }),
  step(1, "restart device", { device }),
  step(2, "kill device", { device, turns: fc.nat({ max: 40 }) }),
  step(1, "upgrade device", { device }),
  step(1, "restart gateway", {}),
  step(1, "kill gateway", {}),
  step(1, "upgrade gateway", {}),
  step(2, "repeat last push", { device }),
  step(2, "set clock", { device, ms: fc.constantFrom(0, -3_600_000, 4_000, 120_000) }),
  step(1, "set gateway back", { ms: fc.constantFrom(1, 2_000) }),
  step(2, "time", { ms: fc.constantFrom(1, 1_000, 600_000) }),
  step(2, "trim", {}),
);

/** A device changes a row, another one deletes it, and the log forgets that before the first syncs. */
const behindTheTrim: fc.Arbitrary<Step[]> = fc.record({
  devices: fc.shuffledSubarray([0, 1, 2], { minLength: 2, maxLength: 2 }),
  writes,
  faults: networkFaults,
}).map(({ devices: [late, early], writes, faults }) => [
  { do: "sync", device: early!, faults: [] },
  { do: "sync", device: late!, faults: [] },
  { do: "write", device: late!, writes },
  { do: "time", ms: 1_000 },
  { do: "write", device: early!, writes: writes.map((write) => ({ ...write, how: 0 })) },
  { do: "sync", device: early!, faults: [] },
  { do: "trim" },
  { do: "sync", device: late!, faults },
]);

/** A row dies, is made again and changed; another device hears of it page by page and no further. */
const reborn: fc.Arbitrary<Step[]> = fc.record({
  devices: fc.shuffledSubarray([0, 1, 2], { minLength: 2, maxLength: 2 }),
  write,
  pages: fc.integer({ min: 1, max: 3 }),
}).map(({ devices: [reader, writer], write, pages }) => [
  { do: "sync", device: writer!, faults: [] },
  { do: "sync", device: reader!, faults: [] },
  ...[0, 9, 9, 0, 9, 9].flatMap((how, i): Step[] => [
    { do: "write", device: writer!, writes: [{ ...write, how, seed: write.seed + i }] },
    { do: "sync", device: writer!, faults: [] },
  ]),
  {
    do: "sync",
    device: reader!,
    faults: [...Array<NetworkFault>(pages).fill("none"), "lose request"],
  },
]);

/** A device that the log no longer reaches back to gets a part of a checkpoint. */
const brokenCheckpoint: fc.Arbitrary<Step[]> = fc.record({
  devices: fc.shuffledSubarray([0, 1, 2], { minLength: 2, maxLength: 2 }),
  writes,
  keep: fc.double({ min: 0.5, max: 0.999, noNaN: true }),
}).map(({ devices: [late, early], writes, keep }) => [
  { do: "sync", device: late!, faults: [] },
  { do: "write", device: early!, writes },
  { do: "sync", device: early!, faults: [] },
  { do: "trim" },
  {
    do: "sync",
    device: late!,
    faults: ["none", { keep, wholeLines: true, error: false }, "lose request"],
  },
]);

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: single.map((step) => [step]) },
    { weight: 1, arbitrary: fc.oneof(behindTheTrim, reborn, brokenCheckpoint) },
  ),
  { minLength: 10, maxLength: 45, size: "max" },
).map((parts) => parts.flat());

test({
  name:
    "every device, the gateway and the lake show the merge of the accepted deltas, each once, " +
    "through lost requests and answers, kills, wrong clocks, upgrades and trims",
  timeoutMs: 360_000,
}, async () => {
  const counts = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      setting,
      steps,
      fc.array(fc.nat(), { minLength: 2, maxLength: 2 }),
      (setting, steps, picks) =>
        withTempDir(async (directory) => {
          const world = await World.open(directory, setting);
          try {
            for (const step of steps) await world.step(step);
            await world.settle();
            await world.check(picks);
          } finally {
            await world.close();
          }
          for (const [what, times] of world.counts) {
            counts.set(what, (counts.get(what) ?? 0) + times);
          }
        }),
    ),
    { seed: 42, numRuns: RUNS, endOnFailure: true },
  );
  for (const what of ["checkpoint", "dead letter", "trimmed", "not flushed", "overtaken"]) {
    assert((counts.get(what) ?? 0) > 0, `it has to happen that there is: ${what}`);
  }
});
