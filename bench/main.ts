/**
 * `deno task bench [NAME] [--quick] [--json | --markdown]`: all benchmarks, or those whose names
 * start with NAME. Slow figures are reported and are no failure; an error is.
 */
import process from "node:process";
import { withTempDir } from "@lakesync/testing";
import { BENCHMARKS } from "./all.ts";
import { thisMachine } from "./_machine.ts";
import { machineLine, markdownReport, type Measured, textReport } from "./_report.ts";

const FLAGS = ["--quick", "--json", "--markdown"];

const args = process.argv.slice(2);
const names = args.filter((arg) => !arg.startsWith("--"));
const unknown = args.find((arg) => arg.startsWith("--") && !FLAGS.includes(arg));
const chosen = BENCHMARKS.filter(({ name }) =>
  names.length === 0 || names.some((prefix) => name.startsWith(prefix))
);
if (unknown !== undefined || chosen.length === 0) {
  const what = unknown ?? `"${names.join(" ")}"`;
  console.error(`Cannot run ${what}: take any of ${FLAGS.join(", ")} and a benchmark's name:`);
  for (const { name, about } of BENCHMARKS) console.error(`  ${name}: ${about}`);
  process.exit(2);
}

const quick = args.includes("--quick");
const asText = !args.includes("--json") && !args.includes("--markdown");
const machine = thisMachine();
const all: Measured[] = [];
if (asText) console.log(`${machineLine(machine)}\n`);
if (asText && quick) {
  console.log("A quick run: the sizes are too small for the figures to count.\n");
}
for (const benchmark of chosen) {
  const figures = await withTempDir((directory) =>
    benchmark.run({
      quick,
      directory,
      progress: (what) => console.error(`… ${benchmark.name}: ${what}`),
    })
  );
  all.push({ benchmark, figures });
  if (asText) console.log(`${textReport({ benchmark, figures })}\n`);
}
if (args.includes("--json")) {
  const benchmarks = all.map(({ benchmark: { name, about, floor }, figures }) => ({
    name,
    about,
    floor,
    figures,
  }));
  console.log(JSON.stringify({ machine, quick, benchmarks }, null, 2));
} else if (args.includes("--markdown")) console.log(markdownReport(machine, all));
