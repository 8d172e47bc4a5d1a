import { type ChildProcessByStdio, spawn } from "node:child_process";
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

/** The runtime that this code runs on. */
export const runtimeName: "deno" | "bun" = "Bun" in globalThis ? "bun" : "deno";

/** How a script is started by {@linkcode spawnScript}. */
export interface SpawnScriptOptions {
  /**
   * The script's arguments.
   *
   * @default {[]}
   */
  args?: readonly string[];
  /**
   * Environment variables on top of the present ones.
   *
   * @default {{}}
   */
  env?: Readonly<Record<string, string>>;
  /**
   * The working directory; by default the present one.
   *
   * @default {undefined}
   */
  cwd?: string | undefined;
  /**
   * V8's flags; only for Deno, which is the only one of the two that has it.
   *
   * @default {[]}
   */
  v8Flags?: readonly string[];
}

/** How a process ended: by itself with an exit code, or by a signal. */
export interface ProcessExit {
  code: number | null;
  signal: string | null;
}

// A test that fails or runs out of time must leave no process behind.
const running: Set<ChildProcessByStdio<Writable, Readable, Readable>> = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A script that runs as a process of its own. Disposing of it kills it. */
export class ScriptProcess implements AsyncDisposable {
  /** Resolves when the process has ended and its output has been read. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #stdout = "";
  #stderr = "";
  #linesRead = 0;
  #ended = false;
  #more: PromiseWithResolvers<void> = Promise.withResolvers();

  /** Prefer {@linkcode spawnScript}. */
  constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#child = child;
    running.add(child);
    this.exited = new Promise((resolve) => {
      child.once("error", (cause) => this.#stderr += `${cause}\n`);
      child.once("close", (code, signal) => {
        running.delete(child);
        this.#ended = true;
        this.#more.resolve();
        resolve({ code, signal });
      });
    });
    // Read on at once: a process whose output nobody takes would stop at a full pipe.
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
      this.#more.resolve();
      this.#more = Promise.withResolvers();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => this.#stderr += text);
    // A process killed before it has read its input breaks the pipe; `exited` tells of that.
    child.stdin.on("error", () => {});
  }

  /** The operating system's id of the process. */
  get pid(): number {
    if (this.#child.pid === undefined) {
      throw new TypeError(`Cannot start the script: ${this.#stderr}`);
    }
    return this.#child.pid;
  }

  /** What the process has written to stdout so far. */
  get stdout(): string {
    return this.#stdout;
  }

  /** What the process has written to stderr so far. */
  get stderr(): string {
    return this.#stderr;
  }

  /**
   * The next whole line of stdout, parsed as JSON.
   *
   * @returns The value; undefined when stdout has ended. A line cut off by the end is left out.
   */
  async nextJson(): Promise<unknown> {
    let end = this.#stdout.indexOf("\n", this.#linesRead);
    while (end < 0) {
      if (this.#ended) return undefined;
      await this.#more.promise;
      end = this.#stdout.indexOf("\n", this.#linesRead);
    }
    const line = this.#stdout.slice(this.#linesRead, end);
    this.#linesRead = end + 1;
    try {
      return JSON.parse(line);
    } catch (cause) {
      throw new Error(`Cannot parse line ${JSON.stringify(line)} of the script: not JSON`, {
        cause,
      });
    }
  }

  /**
   * Waits until stdout matches.
   *
   * @param pattern What to wait for, with one group.
   * @returns What the group matched.
   */
  async stdoutMatch(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.#stdout);
      if (match !== null) return match[1] ?? "";
      if (this.#ended) throw new Error(`The script ended without ${pattern}: ${this.#stderr}`);
      await this.#more.promise;
    }
  }

  /** Writes a value as a line of JSON to stdin. */
  send(value: unknown): void {
    this.#child.stdin.write(`${JSON.stringify(value)}\n`);
  }

  /** Sends a signal, by default the one that no process can catch, and waits for the end. */
  kill(signal: "SIGKILL" | "SIGTERM" | "SIGINT" = "SIGKILL"): Promise<ProcessExit> {
    // Not `child.kill`: on Deno that reports the signal even where the process ends by itself.
    try {
      if (!this.#ended) process.kill(this.pid, signal);
    } catch (thrown) {
      // It ended a moment ago, and the event of that is still to come.
      if ((thrown as { code?: string }).code !== "ESRCH") throw thrown;
    }
    return this.exited;
  }

  /** Kills the process, if it still runs, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/**
 * Starts a script as a process of its own, on the runtime that this code runs on. Wherever the
 * script lies, its imports resolve as in this workspace.
 *
 * @param script The path of a module, or its file URL.
 */
export function spawnScript(
  script: string | URL,
  options: SpawnScriptOptions = {},
): ScriptProcess {
  const { args = [], env = {}, cwd, v8Flags = [] } = options;
  const path = script instanceof URL ? fileURLToPath(script) : script;
  const root = (file: string): string => fileURLToPath(new URL(`../${file}`, import.meta.url));
  const v8 = v8Flags.length === 0 ? [] : [`--v8-flags=${v8Flags.join()}`];
  const run = runtimeName === "deno"
    ? ["run", "--allow-all", ...v8, "--config", root("deno.json")]
    : ["run", `--tsconfig-override=${root("tsconfig.json")}`];
  return new ScriptProcess(
    spawn(process.execPath, [...run, path, ...args], {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    }),
  );
}
