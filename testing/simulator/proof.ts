/**
 * `deno task simulate:proof`: plants each bug of plants.ts in a copy of the tree and counts the seeds
 * until the simulator finds it. Prints the table of docs/simulator.md; ends with 1 where a bug is not
 * found within the seeds that CI runs.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argv, execPath, exit, stdout } from "node:process";
import { fileURLToPath } from "node:url";
import type { Plant } from "./plant.ts";
import { PLANTS } from "./plants.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MAX_SEEDS = 1_000;
const JOBS = 2;

/** What every crash breaks, so that it proves nothing. */
const CRASH = "a gateway does not fail by itself";

/** What became of a hunt. */
interface Found {
  readonly seeds: number;
  readonly promise: string;
}

/** A copy of the tree with a bug in it. */
function plantInCopy(plant: Plant, folder: string): void {
  cpSync(ROOT, folder, {
    recursive: true,
    filter: (path) => !/\/(node_modules|\.git)$/.test(path),
  });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  for (const { file, find, replace } of plant.edits) {
    const path = join(folder, file);
    const text = readFileSync(path, "utf8");
    const count = text.split(find).length - 1;
    if (count !== 1) {
      throw new Error(`Cannot plant "${plant.bug}": ${file} has its text ${count} times, not once`);
    }
    writeFileSync(path, text.replace(find, () => replace));
  }
}

/** Runs seeds on a copy until a promise is broken. */
async function hunt(plant: Plant): Promise<Found | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "lakesync-plant-"));
  try {
    plantInCopy(plant, folder);
    const main = join(folder, "testing/simulator/main.ts");
    const child = spawn(
      execPath,
      ["run", "--allow-all", "--no-check", main, "--hunt", String(MAX_SEEDS)],
      { cwd: folder, stdio: ["ignore", "pipe", "inherit"] },
    );
    let output = "";
    child.stdout.on("data", (chunk) => output += chunk);
    const code = await new Promise((resolve) => child.on("close", resolve));
    if (code !== 0) throw new Error(`"${plant.bug}" ended the simulator with code ${code}`);
    const found = (JSON.parse(output) as { found: Found | null }).found ?? undefined;
    if (found?.promise === CRASH) {
      throw new Error(`"${plant.bug}" makes the gateway crash: that is no proof, mend the plant`);
    }
    return found;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const only = argv[argv.indexOf("--only") + 1];
const plants = PLANTS.filter(({ bug }) => !argv.includes("--only") || bug.includes(only!));
const results = new Map<Plant, Found | undefined>();
const waiting = [...plants];
await Promise.all(Array.from({ length: JOBS }, async () => {
  for (let plant = waiting.shift(); plant !== undefined; plant = waiting.shift()) {
    const found = await hunt(plant);
    results.set(plant, found);
    const promise = found === undefined ? "" : `: ${found.promise}`;
    stdout.write(`${found?.seeds ?? "not found"}\t${plant.bug}${promise}\n`);
  }
}));
stdout.write("\n| bug | seeds | the promise that broke |\n| --- | --- | --- |\n");
for (const plant of plants) {
  const found = results.get(plant);
  stdout.write(`| ${plant.bug} | ${found?.seeds ?? "not found"} | ${found?.promise ?? ""} |\n`);
}
exit([...results.values()].every((found) => found !== undefined) ? 0 : 1);
