/**
 * `deno task simulate`: many seeds (`--seeds N`, from `--from M`), for at most `--budget` seconds on
 * `--jobs` processes; or one seed (`--seed N`) with its whole trace, of which `--keep 1,5,9` leaves
 * only these steps. Ends with 1 where a promise was broken, or a fault never came about.
 */
import { spawn } from "node:child_process";
import { argv, execPath, exit, stdout } from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { coverageText, missing } from "./coverage.ts";
import { generate } from "./generate.ts";
import { shrink } from "./shrink.ts";
import { keepSteps, simulate } from "./simulate.ts";

/** A run of fewer seeds need not have met every fault. */
const FULL_COVERAGE = 300;
/** One seed in so many is run twice, to see that a replay is exact. */
const REPLAY_EVERY = 50;
const SHRINK_RUNS = 300;

/** What a worker tells. */
type Report =
  | { readonly seed: number; readonly promise: string; readonly details: string }
  | { readonly seeds: number; readonly events: number; readonly counts: [string, number][] };

function option(name: string): string | undefined {
  const place = argv.indexOf(`--${name}`);
  return place < 0 ? undefined : argv[place + 1];
}

function numberOption(name: string, fallback: number): number {
  const value = Number(option(name) ?? fallback);
  if (!Number.isSafeInteger(value)) throw new TypeError(`--${name} must be a whole number`);
  return value;
}

function print(text: string): void {
  stdout.write(`${text}\n`);
}

/** Runs one seed and prints what happened; whether all promises were kept. */
async function replay(seed: number): Promise<boolean> {
  const whole = generate(seed);
  const keep = option("keep")?.split(",").map(Number);
  const schedule = keep === undefined ? whole : keepSteps(whole, keep);
  print(`seed ${seed}: ${JSON.stringify(schedule.setting)}`);
  const outcome = await simulate(schedule, { keepLines: true });
  for (const line of outcome.lines) print(line);
  print(`${outcome.events} events, trace ${outcome.digest}`);
  if (outcome.violation === undefined) return true;
  print(`BROKEN: ${outcome.violation.promise}\n${outcome.violation.details}`);
  return false;
}

/** Runs every `jobs`-th seed and reports in lines of JSON. */
async function work(part: number, jobs: number): Promise<void> {
  const from = numberOption("from", 1);
  const until = from + numberOption("seeds", 1_000);
  const end = performance.now() + numberOption("budget", 420) * 1_000;
  const report = (what: Report): void => print(JSON.stringify(what));
  const counts = new Map<string, number>();
  let seeds = 0;
  let events = 0;
  for (let seed = from + part; seed < until && performance.now() < end; seed += jobs) {
    const outcome = await simulate(generate(seed));
    seeds++;
    events += outcome.events;
    for (const [what, times] of outcome.counts) counts.set(what, (counts.get(what) ?? 0) + times);
    if (outcome.violation !== undefined) report({ seed, ...outcome.violation });
    if (seeds % REPLAY_EVERY !== 1) continue;
    counts.set("check replay", (counts.get("check replay") ?? 0) + 1);
    const { digest } = await simulate(generate(seed));
    if (digest === outcome.digest) continue;
    const details = `the trace was ${outcome.digest} and then ${digest}`;
    report({ seed, promise: "a seed replays exactly", details });
  }
  report({ seeds, events, counts: [...counts] });
}

/** Runs seeds until a promise is broken: for proof.ts. */
async function hunt(seeds: number): Promise<void> {
  for (let seed = 1; seed <= seeds; seed++) {
    const { violation } = await simulate(generate(seed));
    if (violation === undefined) continue;
    return print(JSON.stringify({ found: { seeds: seed, promise: violation.promise } }));
  }
  print(JSON.stringify({ found: null }));
}

/** Runs many seeds on several processes; whether all promises were kept. */
async function runMany(): Promise<boolean> {
  const jobs = numberOption("jobs", 2);
  const start = performance.now();
  const counts = new Map<string, number>();
  const broken: Extract<Report, { promise: string }>[] = [];
  let seeds = 0;
  let events = 0;
  let failed = false;
  const take = (line: string): void => {
    const report = JSON.parse(line) as Report;
    if ("promise" in report) {
      print(`seed ${report.seed}: ${report.promise}: ${report.details.slice(0, 600)}`);
      broken.push(report);
      return;
    }
    seeds += report.seeds;
    events += report.events;
    for (const [what, times] of report.counts) counts.set(what, (counts.get(what) ?? 0) + times);
  };
  await Promise.all(Array.from({ length: jobs }, (_, part) => {
    const worker = spawn(execPath, [
      "run",
      "--allow-all",
      "--no-check",
      fileURLToPath(import.meta.url),
      "--part",
      String(part),
      ...argv.slice(2),
    ], { stdio: ["ignore", "pipe", "inherit"] });
    createInterface({ input: worker.stdout }).on("line", take);
    return new Promise<void>((resolve) => {
      worker.on("close", (code) => {
        failed ||= code !== 0;
        resolve();
      });
    });
  }));
  const seconds = (performance.now() - start) / 1_000;
  print(coverageText(counts));
  print(
    `${seeds} seeds, ${events} events in ${seconds.toFixed(1)} s: ${
      (seeds / seconds).toFixed(1)
    } seeds/s`,
  );
  const never = seeds < FULL_COVERAGE ? [] : missing(counts);
  if (never.length > 0) print(`never came about: ${never.join(", ")}`);
  const [first] = broken.sort((a, b) => a.seed - b.seed);
  if (first !== undefined) await explain(first);
  return !failed && first === undefined && never.length === 0;
}

/** Cuts a failing seed down and tells how to see it again. */
async function explain({ seed, promise }: { seed: number; promise: string }): Promise<void> {
  print(`\nseed ${seed} breaks: ${promise}\nagain: deno task simulate --seed ${seed}`);
  const schedule = generate(seed);
  const kept = await shrink(schedule.steps.length, {
    fails: async (places) =>
      (await simulate(keepSteps(schedule, places))).violation?.promise === promise,
    maxTries: SHRINK_RUNS,
  });
  print(`with ${kept.length} of its ${schedule.steps.length} steps:`);
  for (const place of kept) print(`  ${JSON.stringify(schedule.steps[place])}`);
  print(`again: deno task simulate --seed ${seed} --keep ${kept.join(",")}`);
}

const part = option("part");
let kept = true;
if (option("seed") !== undefined) kept = await replay(numberOption("seed", 1));
else if (option("hunt") !== undefined) await hunt(numberOption("hunt", 1));
else if (part !== undefined) await work(Number(part), numberOption("jobs", 2));
else kept = await runMany();
exit(kept ? 0 : 1);
