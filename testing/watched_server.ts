import { type ChildProcessByStdio, spawn } from "node:child_process";
import { userInfo } from "node:os";
import type { Readable, Writable } from "node:stream";

/** How a {@linkcode WatchedServer}'s output is read. */
export interface WatchedServerOptions {
  /** Names the server in errors. */
  readonly name: string;
  /** Where it is reached. */
  readonly url: string;
  /** What it says once it answers. */
  readonly ready: string;
  /** What it says where it cannot start just now, for a reason that passes by itself. */
  readonly retry?: readonly string[];
  /** What it says where it will never start. */
  readonly fatal?: readonly string[];
}

/**
 * A database server that a shell script watches over, as a process of its own: it takes `start`,
 * `kill` and `stop` by its input, and with the end of that, however it comes, the server ends and its
 * directory goes.
 */
export class WatchedServer implements AsyncDisposable {
  /** Where it is reached. */
  readonly url: string;
  readonly #options: WatchedServerOptions;
  readonly #watcher: ChildProcessByStdio<Writable, Readable, null>;
  readonly #closed: Promise<void>;
  #output = "";
  #read = 0;
  #ended = false;
  #more: PromiseWithResolvers<void> = Promise.withResolvers();

  /** Takes over a watcher that has just been started; the server has not. */
  constructor(
    watcher: ChildProcessByStdio<Writable, Readable, null>,
    options: WatchedServerOptions,
  ) {
    this.url = options.url;
    this.#options = options;
    this.#watcher = watcher;
    watcher.stdin.on("error", () => {}); // `start` tells that it ended
    watcher.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      this.#wake();
    });
    this.#closed = new Promise((resolve) =>
      watcher.once("close", () => {
        this.#ended = true;
        this.#wake();
        resolve();
      })
    );
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  /** Starts it, also again after {@linkcode kill} or {@linkcode stop}, and waits until it answers. */
  async start(): Promise<void> {
    for (;;) {
      this.#read = this.#output.length;
      this.#watcher.stdin.write("start\n");
      if (await this.#until(this.#options.ready)) return;
      await this.stop();
    }
  }

  /** Kills it with the signal that no process can catch. */
  async kill(): Promise<void> {
    this.#watcher.stdin.write("kill\n");
    await this.#until("stopped\n");
  }

  /** Stops it; it disconnects its clients. */
  async stop(): Promise<void> {
    this.#watcher.stdin.write("stop\n");
    await this.#until("stopped\n");
  }

  /** Ends it and removes its directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#watcher.stdin.end();
    await this.#closed;
  }

  /** Waits until it says something; false where it is to be started anew. */
  async #until(text: string): Promise<boolean> {
    const { name, retry = [], fatal = [] } = this.#options;
    const said = (text: string) => this.#output.indexOf(text, this.#read);
    for (;;) {
      const at = said(text);
      if (at >= 0) {
        this.#read = at + text.length;
        return true;
      }
      if (this.#ended) throw new Error(`The ${name} server ended: ${this.#output}`);
      if (fatal.some((text) => said(text) >= 0)) {
        throw new Error(`The ${name} server does not start: ${this.#output}`);
      }
      if (retry.some((text) => said(text) >= 0)) return false;
      await this.#more.promise;
    }
  }
}

/**
 * Bun kills the processes that a test file started when the file ends. It kills this one, which
 * takes the input away from the watcher behind it.
 */
const PIPE = `cat | /bin/sh -c "$0" sh "$@"`;

/**
 * Starts the script that watches over a server.
 *
 * @param script The script.
 * @param options Its arguments, and whom it runs as where this process is root.
 * @returns Its process.
 */
export function startWatcher(
  script: string,
  options: { user: string; args: readonly string[] },
): ChildProcessByStdio<Writable, Readable, null> {
  const { user, args } = options;
  const shell = ["/bin/sh", "-c", PIPE, script, ...args];
  const as = ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--"];
  const [program, ...rest] = userInfo().uid === 0 ? [...as, ...shell] : shell;
  return spawn(program!, rest, { stdio: ["pipe", "pipe", "inherit"], cwd: "/" });
}
