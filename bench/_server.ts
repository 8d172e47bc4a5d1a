import { type ScriptProcess, spawnScript } from "@lakesync/testing";

/** A server in a process of its own. Disposing of it kills it. */
export interface ServerProcess extends AsyncDisposable {
  /** Where it listens. */
  readonly url: string;
}

/** V8's flags of `deno task serve`: a gateway's live heap is small, and by default V8 collects late. */
export const SERVE_FLAGS: readonly string[] = [
  "--heap-growing-percent=50",
  "--max-semi-space-size=8",
  "--min-semi-space-size=8",
];

/** Starts a gateway over a data directory: real HTTP on loopback. */
export function startGateway(data: string): Promise<ServerProcess> {
  return start("./_gateway_child.ts", [data]);
}

/** Starts a gateway over a log that is there, which keeps its checkpoints or makes each anew. */
export function startCheckpointGateway(
  data: string,
  way: "keep" | "anew",
): Promise<ServerProcess> {
  return start("./_checkpoint_child.ts", [data, way]);
}

/** Starts a server that reads a JSON body, parses it, and answers a small JSON. */
export function startBareServer(): Promise<ServerProcess> {
  return start("./_bare_server_child.ts", []);
}

async function start(script: string, args: readonly string[]): Promise<ServerProcess> {
  const child: ScriptProcess = spawnScript(new URL(script, import.meta.url), {
    args,
    v8Flags: SERVE_FLAGS,
  });
  const line = await child.nextJson() as { url: string } | undefined;
  if (line === undefined) throw new Error(`${script} did not start: ${child.stderr}`);
  return { url: line.url, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

/** Runs a script to its end; its last word is a line of JSON. */
export async function runScript(
  script: string,
  args: readonly string[],
  v8Flags: readonly string[] = [],
): Promise<unknown> {
  await using child = spawnScript(new URL(script, import.meta.url), { args, v8Flags });
  const { code } = await child.exited;
  if (code !== 0) throw new Error(`${script} ended with code ${code}: ${child.stderr}`);
  return JSON.parse(child.stdout.trim().split("\n").at(-1)!);
}
