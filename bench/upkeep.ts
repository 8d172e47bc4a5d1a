import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergLake, maintainLake } from "@lakesync/adapter-iceberg";
import { unwrapOrThrow } from "@lakesync/core";
import { type Benchmark, figureOf, laneOf, measure, spread, timed } from "./_harness.ts";
import { fillLake, insertAt } from "./_lake.ts";

const MIB = 2 ** 20;
/** Old enough for what nothing names to go. */
const LATER_MS = 4 * 24 * 60 * 60 * 1000;

/** What many small flushes leave behind after maintenance. */
export const upkeep: Benchmark = {
  name: "upkeep",
  about:
    "1,000 flushes of ten rows each into local files, then maintenance four days later; the rate counts scans planned, from the newest metadata to the list of data files",
  floor: "reading the newest metadata file alone",
  async run({ quick, directory, progress }) {
    const flushes = quick ? 30 : 1_000;
    const store = fileObjectStore({ directory });
    progress(`${flushes} flushes`);
    await fillLake(store, { from: 0, count: 10 * flushes, make: insertAt, size: 10 });
    const before = metadataBytes(directory);
    const clock = { now: () => Date.now() + LATER_MS };
    progress("maintenance");
    const { steps } = unwrapOrThrow(await maintainLake({ store, clock }));
    const failed = steps.find(({ step }) => step === "failed");
    if (failed !== undefined) throw new Error(`A step failed: ${JSON.stringify(failed)}`);
    const lake = icebergLake({ store });
    const folder = "todos_changes/metadata";
    const hint = unwrapOrThrow(await store.get(`${folder}/version-hint.text`));
    const newest = `${folder}/v${new TextDecoder().decode(hint)}.metadata.json`;
    const rates = await measure({
      plan: () => timed(1, async () => unwrapOrThrow(await lake.scan("todos_changes"))),
      read: () => timed(1, async () => unwrapOrThrow(await store.get(newest))),
    }, { rounds: quick ? 3 : 20, warmUps: 2 });
    const slowest = 1000 / spread(laneOf(rates, "plan")).min;
    return [figureOf(rates, {
      name: `${flushes.toLocaleString("en")} flushes`,
      unit: "scans",
      lane: "plan",
      floor: "read",
      facts: [{ name: "metadata before", value: before / MIB, unit: "MiB" }],
      targets: [
        {
          name: "metadata",
          value: metadataBytes(directory) / 1e6,
          unit: "MB",
          bound: "at most",
          limit: 2,
        },
        { name: "slowest plan", value: slowest, unit: "ms", bound: "at most", limit: 200 },
      ],
    })];
  },
};

/** Of both tables. */
function metadataBytes(directory: string): number {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((file) => file.includes("/metadata/"));
  return files.reduce((sum, file) => sum + statSync(join(directory, file)).size, 0);
}
