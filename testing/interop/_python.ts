import { spawnSync } from "node:child_process";
import process from "node:process";

const PYTHON = process.env.LAKESYNC_PYTHON ?? "python3";

/** Why tests of this folder that need a Python package are skipped, where they are. */
export function needsPython(packageName: string): string | undefined {
  // A plain run of all tests stays quick.
  if (process.env.LAKESYNC_INTEROP !== "1") return "is heavy: deno task test:interop runs it";
  const { status } = spawnSync(PYTHON, ["-c", `import ${packageName}`]);
  if (status === 0) return undefined;
  return `needs ${PYTHON} with ${packageName} (deno task test:interop installs it)`;
}

/** Runs a script and gives the JSON of its last line. */
export function runPython(
  script: string,
  args: readonly string[],
  { env = {}, cwd }: {
    readonly env?: { readonly [name: string]: string };
    readonly cwd?: string;
  } = {},
): unknown {
  const run = spawnSync(PYTHON, ["-c", script, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    env: { ...process.env, ...env },
    ...(cwd !== undefined && { cwd }),
  });
  if (run.status !== 0) throw new Error(`${PYTHON} failed: ${run.stderr.slice(-4_000)}`);
  return JSON.parse(run.stdout.trimEnd().split("\n").at(-1)!);
}
