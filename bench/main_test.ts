import { assert, assertEquals } from "@std/assert";
import { spawnScript, test } from "@lakesync/testing";
import { BENCHMARKS } from "./all.ts";
import type { Figure } from "./_harness.ts";
import { textReport } from "./_report.ts";

async function runMain(args: readonly string[]) {
  await using child = spawnScript(new URL("./main.ts", import.meta.url), { args });
  const { code } = await child.exited;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

test({
  name: "bench --quick runs every benchmark and gives each figure a rate and a ratio",
  // Each starts its servers, databases and a browser among them; only a hang is to be noticed here.
  timeoutMs: 300_000,
}, async () => {
  const { code, stdout, stderr } = await runMain(["--quick", "--json"]);
  assertEquals(code, 0, stderr);
  const { machine, benchmarks } = JSON.parse(stdout) as {
    machine: { cores: number };
    benchmarks: { name: string; figures: Figure[] }[];
  };
  assert(machine.cores >= 1);
  assertEquals(benchmarks.map(({ name }) => name), BENCHMARKS.map(({ name }) => name));
  for (const [i, { name, figures }] of benchmarks.entries()) {
    assert(figures.length > 0, `${name} has no figure`);
    for (const { rate, floor, ratio } of figures) {
      for (const { median, min, max } of [rate, floor, ratio]) {
        assert(min > 0 && median >= min && max >= median && Number.isFinite(max), name);
      }
    }
    const report = textReport({ benchmark: BENCHMARKS[i]!, figures });
    for (const figure of figures) assert(report.includes(figure.name), report);
  }
});

test("bench runs those whose names start with the argument, as text or as Markdown", async () => {
  const text = await runMain(["merge", "--quick"]);
  assertEquals(text.code, 0, text.stderr);
  assert(text.stdout.includes("20 columns"), text.stdout);
  assert(/deltas\/s \(.*\d\.\d\d \(/.test(text.stdout), text.stdout);
  assert(!text.stdout.includes("push-store"), text.stdout);
  const markdown = await runMain(["mer", "--quick", "--markdown"]);
  assertEquals(markdown.code, 0, markdown.stderr);
  assert(/^\| merge \| 5 columns \| .* deltas\/s /m.test(markdown.stdout), markdown.stdout);
});

test("bench refuses a name that no benchmark has and tells which there are", async () => {
  const { code, stdout, stderr } = await runMain(["nothing"]);
  assertEquals([code, stdout], [2, ""]);
  for (const { name } of BENCHMARKS) assert(stderr.includes(name), stderr);
});
