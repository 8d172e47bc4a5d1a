import { assert, assertEquals } from "@std/assert";
import { test } from "../test.ts";
import type { Schedule, Setting, Step, WriteSpec } from "./schedule.ts";
import { simulate } from "./simulate.ts";

const FIRST_FLUSHES = 9;

/** A small world in which what is asked of the lake is the same each time, up to the kill. */
function schedule(rest: boolean, last: Step): Schedule {
  const setting: Setting = {
    devices: [{ skewMs: 0, auto: false, live: false, intervalMs: 60_000 }],
    instances: 1,
    store: "shared",
    pageItems: 100,
    pageBytes: 8_388_608,
    pushDeltas: 10_000,
    grainMs: 1,
    diskMs: 0.5,
    instanceSkewMs: [0],
    lake: { maintainers: 1, buckets: 1, ...(rest && { rest: { idempotent: false } }) },
  };
  const steps: Step[] = [];
  const write = (at: number, ids: readonly number[], how: WriteSpec["how"]): void => {
    const writes = ids.map((i): WriteSpec => ({ table: "items", id: `x${i}`, how, columns: 15 }));
    steps.push({ at, do: "write", device: 0, writes }, { at: at + 50, do: "sync", device: 0 });
  };
  for (let i = 0; i < FIRST_FLUSHES; i++) {
    write(2_000 + i * 2_000, [2 * i, 2 * i + 1], "change");
    steps.push({ at: 3_000 + i * 2_000, do: "flush", instance: 0 });
  }
  steps.push({ at: 22_000, do: "maintain", maintainer: 0, deletes: "positions" });
  write(26_000, [1, 3], "change");
  write(26_200, [5], "delete");
  // What upkeep has to do.
  if (last.do === "maintain") steps.push({ at: 35_000, do: "flush", instance: 0 });
  return { seed: 1, setting, steps: [...steps, last, { at: 80_000, do: "analyse" }] };
}

/** Kills at each request in turn, until there are no more: each time all promises have to be kept. */
async function killAtEach(rest: boolean, last: (dies: number) => Step, name: string) {
  for (let dies = 1;; dies++) {
    const { violation, lines } = await simulate(schedule(rest, last(dies)), { keepLines: true });
    assertEquals({ dies, violation }, { dies, violation: undefined });
    // In the end somebody is killed once more.
    const quiet = lines.findIndex((line) => line.includes("all faults are over"));
    const killed = lines.findIndex((line) => line.includes(name) && line.endsWith("is killed"));
    if (killed < 0 || killed > quiet) return dies - 1;
  }
}

for (const rest of [false, true]) {
  const where = rest ? "in a REST catalogue" : "in files";

  test(
    { name: `a flush is killed at each of its requests, ${where}`, timeoutMs: 120_000 },
    async () => {
      const last = (dies: number): Step => ({ at: 40_000, do: "flush", instance: 0, dies });
      const kills = await killAtEach(rest, last, "gateway0");
      assert(kills >= 8, `${kills} requests`);
    },
  );

  test(
    { name: `upkeep is killed at each of its requests, ${where}`, timeoutMs: 240_000 },
    async () => {
      const last = (dies: number): Step => ({
        at: 40_000,
        do: "maintain",
        maintainer: 0,
        deletes: "vectors",
        dies,
      });
      const kills = await killAtEach(rest, last, "maintain0");
      assert(kills >= 30, `${kills} requests`);
    },
  );
}
