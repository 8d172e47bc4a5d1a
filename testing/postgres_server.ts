import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { userInfo } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Where a machine has a Postgres server, or why a test of it is skipped. */
export type PostgresBinaries =
  | { readonly bin: string; readonly skip?: never }
  | { readonly bin?: never; readonly skip: string };

/** Options of {@linkcode findPostgres}. */
export interface FindPostgresOptions {
  /**
   * Whether it may install a server.
   *
   * @default {true}
   */
  install?: boolean;
}

/**
 * Finds the programs of a Postgres server on the PATH or where Debian puts them; as root it
 * installs them where there are none.
 *
 * @param options Whether it installs them.
 * @returns Their directory, or the reason for tests to be skipped.
 */
export async function findPostgres(
  options: FindPostgresOptions = {},
): Promise<PostgresBinaries> {
  const found = findBinaries();
  if (found !== undefined) return { bin: found };
  if (options.install === false) return { skip: "no Postgres server is installed" };
  if (userInfo().uid !== 0) {
    return { skip: "no Postgres server is installed, and only root can install one" };
  }
  try {
    await run("apt-get", ["update", "-q"]);
    await run("apt-get", ["install", "-qy", "--no-install-recommends", "postgresql"], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  } catch (thrown) {
    const reason = (thrown as Error).message.trim().split("\n").at(-1);
    return { skip: `no Postgres server is installed, and apt-get cannot install one: ${reason}` };
  }
  const installed = findBinaries();
  return installed !== undefined
    ? { bin: installed }
    : { skip: "apt-get has installed no Postgres server" };
}

function findBinaries(): string | undefined {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian) : [];
  return [
    ...versions.sort((a, b) => Number(b) - Number(a)).map((version) =>
      join(debian, version, "bin")
    ),
    ...(process.env["PATH"] ?? "").split(delimiter),
  ].find((bin) => existsSync(join(bin, "postgres")) && existsSync(join(bin, "initdb")));
}

/**
 * Watches over a server, as a process of its own, so that nothing is left behind however the tests
 * end: with the end of its input it stops the server and removes the directory. `$1` is the
 * programs' directory, `$2` the data's, `$3` the port, `$4` is `on` or `off` for fsync.
 */
const WATCHER = `
  set -u
  trap '' INT TERM
  mkdir -m 700 "$2" &&
    "$1/initdb" -D "$2/data" -U lakesync --auth=trust --encoding=UTF8 --no-locale --no-sync >"$2/log" 2>&1 ||
    { cat "$2/log"; rm -rf "$2"; exit 1; }
  server=
  stop() { [ -z "$server" ] || { kill "-$1" "$server"; wait "$server"; server=; } 2>/dev/null; }
  while read -r command; do
    case "$command" in
      start)
        "$1/postgres" -D "$2/data" -p "$3" -h 127.0.0.1 -k "" \\
          -c fsync="$4" -c max_connections=200 -c shared_buffers=64MB 2>&1 &
        server=$! ;;
      kill) stop KILL; echo stopped ;;
      stop) stop INT; echo stopped ;;
    esac
  done
  stop QUIT
  rm -rf "$2"
`;

/**
 * Bun kills the processes that a test file started when the file ends. It kills this one, which
 * takes the input away from the watcher behind it.
 */
const PIPE = `cat | /bin/sh -c "$0" sh "$@"`;

/** How a server is started by {@linkcode startPostgres}. */
export interface PostgresServerOptions {
  /** The directory of its programs, from {@linkcode findPostgres}. */
  bin: string;
  /**
   * Whether it syncs to disk. Tests that kill processes, not machines, do not need it.
   *
   * @default {false}
   */
  fsync?: boolean;
}

/** A Postgres server of its own in a temporary directory. It ends with the process that started it. */
export class PostgresServer implements AsyncDisposable {
  /** Where it is reached: the database `postgres`, as a superuser. */
  readonly url: string;
  readonly #watcher: ChildProcessByStdio<Writable, Readable, null>;
  #output = "";
  #read = 0;
  #ended = false;
  #more: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #closed: Promise<void>;

  /** Prefer {@linkcode startPostgres}. */
  constructor(watcher: ChildProcessByStdio<Writable, Readable, null>, port: number) {
    this.url = `postgres://lakesync@127.0.0.1:${port}/postgres`;
    this.#watcher = watcher;
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

  async #until(text: string): Promise<boolean> {
    for (;;) {
      const at = this.#output.indexOf(text, this.#read);
      if (at >= 0) {
        this.#read = at + text.length;
        return true;
      }
      if (this.#ended) throw new Error(`The Postgres server ended: ${this.#output}`);
      // A server that was killed leaves its memory to children that take a moment to notice.
      if (this.#output.indexOf("FATAL:  pre-existing shared memory", this.#read) >= 0) return false;
      if (this.#output.indexOf("FATAL:  lock file", this.#read) >= 0) return false;
      await this.#more.promise;
    }
  }

  /** Starts it again after {@linkcode kill} or {@linkcode stop}, and waits until it answers. */
  async start(): Promise<void> {
    for (;;) {
      this.#read = this.#output.length;
      this.#watcher.stdin.write("start\n");
      if (await this.#until("database system is ready to accept connections")) return;
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

  /** Stops it and removes its directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#watcher.stdin.end();
    await this.#closed;
  }
}

/**
 * Starts a Postgres server on a free port of 127.0.0.1. (Postgres refuses to run as root: there it
 * runs as the user `postgres`.)
 *
 * @param options Its programs.
 * @returns The server, which answers already.
 *
 * @example Ask it
 * ```ts ignore
 * import { findPostgres, startPostgres, test } from "@lakesync/testing";
 *
 * const { bin, skip } = await findPostgres();
 * test({ name: "it answers", skip }, async () => {
 *   await using server = await startPostgres({ bin: bin! });
 *   console.log(server.url);
 * });
 * ```
 */
export async function startPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const { bin, fsync = false } = options;
  const port = await freePort();
  const directory = `/tmp/lakesync-postgres-${process.pid}-${port}`;
  const script = [
    "/bin/sh",
    "-c",
    PIPE,
    WATCHER,
    bin,
    directory,
    String(port),
    fsync ? "on" : "off",
  ];
  const user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"];
  const [program, ...args] = userInfo().uid === 0 ? ["setpriv", ...user, "--", ...script] : script;
  const watcher = spawn(program!, args, { stdio: ["pipe", "pipe", "inherit"], cwd: "/" });
  watcher.stdin.on("error", () => {}); // `start` tells that it ended
  const server = new PostgresServer(watcher, port);
  await server.start();
  return server;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().on("error", reject).listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
