import { join } from "node:path";
import { parseJunit, type TestResult } from "./_junit.ts";
import { run, type RunResult } from "./_run.ts";
import { ROOT } from "./_workspace.ts";

/** The version of Bun that the tests run on. */
export const BUN_VERSION = "1.4.4";

/** A command that runs Bun, or why there is none. */
export type BunCommand = { command: [string, ...string[]] } | { missing: string };

/** Finds Bun on the PATH or, where another version or none is there, through npm. */
export async function findBun(): Promise<BunCommand> {
  const npx = Deno.build.os === "windows" ? "npx.cmd" : "npx";
  const candidates: [string, ...string[]][] = [["bun"], [npx, "--yes", `bun@${BUN_VERSION}`]];
  let missing = "";
  for (const command of candidates) {
    let result: RunResult;
    try {
      result = await run([...command, "--version"]);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
      missing = `${command[0]} is not on the PATH`;
      continue;
    }
    if (result.code === 0 && result.stdout.trim() === BUN_VERSION) return { command };
    const said = result.code === 0 ? result.stdout : result.stderr || result.stdout;
    missing = `${command.join(" ")} says: ${said.trim().split("\n").at(-1)}`;
  }
  return { missing };
}

/** Tests that a runner ran, with what went wrong outside of any test. */
export interface RunnerReport {
  results: TestResult[];
  /** Faults of the run as a whole; each counts as a failed test. */
  faults: string[];
}

/** How {@linkcode runTests} runs a runner. */
export interface RunTestsOptions {
  /** Files that must turn up in the report. */
  expected: readonly string[];
  /** Where its output goes, as it comes: the terminal, or a file. */
  output: "terminal" | { file: string };
}

/**
 * Runs a test runner and reads its JUnit report.
 *
 * @param command The runner; `REPORT` in an argument stands for the path of the report.
 */
export async function runTests(
  command: readonly [string, ...string[]],
  { expected, output }: RunTestsOptions,
): Promise<RunnerReport> {
  const scratch = await Deno.makeTempDir({ prefix: "lakesync-test-" });
  try {
    const report = join(scratch, "report.xml");
    const [program, ...args] = command;
    const into = output === "terminal" ? "inherit" : "piped";
    const child = new Deno.Command(program, {
      args: args.map((arg) => arg.replace("REPORT", report)),
      cwd: ROOT,
      stdin: "null",
      stdout: into,
      stderr: into,
    }).spawn();
    if (output !== "terminal") {
      const append = async (from: ReadableStream<Uint8Array>): Promise<void> => {
        const file = await Deno.open(output.file, { append: true, create: true });
        await from.pipeTo(file.writable);
      };
      await Promise.all([append(child.stdout), append(child.stderr)]);
    }
    const { code, signal } = await child.status;
    const ended = `ended ${signal === null ? `with code ${code}` : `by ${signal}`}`;
    let results: TestResult[];
    try {
      results = parseJunit(await Deno.readTextFile(report));
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound || cause instanceof TypeError)) throw cause;
      return { results: [], faults: [`the runner ${ended} and left no whole report`] };
    }
    const seen = new Set(results.map(({ file }) => file));
    const faults = expected.filter((file) => !seen.has(file))
      .map((file) => `${file} was not loaded, or has no test`);
    const failed = faults.length > 0 || results.some(({ outcome }) => outcome === "failed");
    if (code !== 0 && !failed) faults.push(`the runner ${ended} though no test failed`);
    return { results, faults };
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}
