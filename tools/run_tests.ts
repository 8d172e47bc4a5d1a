/**
 * `deno task test [PATH]…`: every test that this machine can run, or those under the given paths.
 *
 * Tests and the examples in doc comments run on Deno; then all tests that aren't for Deno alone
 * (`*_deno_test.ts`) run on Bun, and those for browsers (`*_browser_test.ts`) in Chromium. Skipped ones are named with their reason. The last line is
 * `N passed, N failed`, summed over all, with `, N skipped` where there are any.
 */
import { existsSync } from "node:fs";
import { relative, resolve } from "node:path";
import { runDeno } from "./_run.ts";
import { BUN_VERSION, findBun, type RunnerReport, runTests } from "./_runners.ts";
import { listFiles, ROOT } from "./_workspace.ts";

/** So much of what a failed test said stands in the summary. */
const WHY_LINES = 20;

/** The given paths as paths from the root, with slashes. */
function toFilters(args: readonly string[]): string[] {
  // `deno task` changes to the root; this is where it was called.
  const cwd = Deno.env.get("INIT_CWD") ?? Deno.cwd();
  return args.map((arg) => {
    const path = [resolve(cwd, arg), resolve(ROOT, arg)].find((path) => existsSync(path));
    if (path === undefined) {
      console.error(`Cannot test ${arg}: no such file or folder`);
      Deno.exit(2);
    }
    return relative(ROOT, path).replaceAll("\\", "/");
  });
}

async function install(): Promise<void> {
  const { code, stdout, stderr } = await runDeno(["install"]);
  if (code === 0) return;
  console.error(stdout + stderr);
  console.error("Cannot install the npm dependencies: see above");
  console.log("0 passed, 1 failed");
  Deno.exit(1);
}

async function testOnDeno(filters: readonly string[]): Promise<RunnerReport> {
  const reporter = Deno.stdout.isTerminal() ? "dot" : "pretty";
  return await runTests([
    Deno.execPath(),
    "test",
    "--allow-all",
    // Examples in doc comments. Markdown is left to readme_test.ts, which runs whole programs.
    "--doc",
    "--ignore=**/*.md,**/*_bun_test.ts,**/*_browser_test.ts,**/*_browser_test.tsx",
    `--reporter=${reporter}`,
    "--junit-path=REPORT",
    ...filters,
  ], { expected: [], output: "terminal" });
}

async function testOnBun(
  bun: readonly [string, ...string[]],
  files: readonly string[],
  log: string,
): Promise<RunnerReport> {
  const dots = Deno.stdout.isTerminal() ? ["--dots"] : [];
  const flags = ["--reporter=junit", "--reporter-outfile=REPORT", ...dots];
  return await runTests([...bun, "test", ...flags, ...files.map((file) => `./${file}`)], {
    expected: files,
    output: { file: log },
  });
}

const filters = toFilters(Deno.args);
await install();
const reports: [string, RunnerReport][] = [];
const leftOut: string[] = [];

const files = (await listFiles()).filter((file) =>
  filters.length === 0 ||
  filters.some((path) => path === "" || file === path || file.startsWith(`${path}/`))
);
const bunFiles = files.filter((file) =>
  /_test\.tsx?$/.test(file) && !/_(deno|browser)_test\.tsx?$/.test(file)
);
// The two run side by side: most tests wait for disks, timers and other processes.
const bunLog = await Deno.makeTempFile({ prefix: "lakesync-bun-" });
const onBun = async (): Promise<void> => {
  if (bunFiles.length === 0) return;
  const bun = await findBun();
  if ("missing" in bun) {
    leftOut.push(`${bunFiles.length} test files on Bun ${BUN_VERSION} — ${bun.missing}`);
  } else {
    reports.push(["Bun", await testOnBun(bun.command, bunFiles, bunLog)]);
  }
};
const bunDone = onBun();
// Examples are looked for in all code.
if (files.some((file) => /\.tsx?$/.test(file) && !/_(bun|browser)_test\.tsx?$/.test(file))) {
  console.log(`Deno ${Deno.version.deno}`);
  reports.unshift(["Deno", await testOnDeno(filters)]);
}
await bunDone;
const bunSaid = await Deno.readTextFile(bunLog);
await Deno.remove(bunLog);
if (bunSaid !== "") console.log(`\nBun ${BUN_VERSION}\n${bunSaid}`);

const browserFiles = files.filter((file) => /_browser_test\.tsx?$/.test(file));
if (browserFiles.length > 0) {
  console.log();
  // Loaded here alone: without tests in a browser nothing of a browser is needed.
  const { runInChromium } = await import("./_chromium.ts");
  const report = await runInChromium(browserFiles);
  if ("missing" in report) {
    leftOut.push(`${browserFiles.length} test files in Chromium — ${report.missing}`);
  } else {
    reports.push(["Chromium", report]);
  }
}

let passed = 0;
let failed = 0;
let skipped = leftOut.length;
console.log();
for (const what of leftOut) console.log(`skipped: ${what}`);
for (const [runner, { results }] of reports) {
  for (const { title, outcome } of results) {
    if (outcome === "passed") passed++;
    if (outcome === "skipped") {
      skipped++;
      console.log(`skipped: ${title} (${runner})`);
    }
  }
}
for (const [runner, { results, faults }] of reports) {
  for (const { title, file, why } of results.filter(({ outcome }) => outcome === "failed")) {
    failed++;
    console.log(`failed: ${title} (${runner})\n  ${file}`);
    // Told once more here: what the runner said stands thousands of lines above.
    for (const line of (why ?? "").split("\n").slice(0, WHY_LINES)) console.log(`  ${line}`);
  }
  for (const what of faults) {
    failed++;
    console.log(`failed: ${what} (${runner})`);
  }
}
if (passed + failed + skipped === 0) {
  failed++;
  console.log("failed: no test was found");
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
if (failed > 0) Deno.exit(1);
