import { ROOT } from "./_workspace.ts";

/** What a command that was run to its end left. */
export interface RunResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command from the root, or from a folder of it, and takes what it prints. */
export async function run(
  command: readonly [string, ...string[]],
  cwd: string = ROOT,
): Promise<RunResult> {
  const [program, ...args] = command;
  const options = { args, cwd, stdin: "null", stdout: "piped", stderr: "piped" } as const;
  const { code, stdout, stderr } = await new Deno.Command(program, options).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Runs the Deno that this runs on. It need not be on the PATH: `npx deno` doesn't put it there. */
export function runDeno(args: readonly string[], cwd: string = ROOT): Promise<RunResult> {
  return run([Deno.execPath(), ...args], cwd);
}
