import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { freePort } from "./free_port.ts";
import { findOrInstall } from "./install_server.ts";
import { startWatcher, WatchedServer } from "./watched_server.ts";

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
  const { found, skip } = await findOrInstall({
    name: "Postgres",
    package: "postgresql",
    find: findBinaries,
    install: options.install ?? true,
  });
  return skip === undefined ? { bin: found } : { skip };
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
export async function startPostgres(options: PostgresServerOptions): Promise<WatchedServer> {
  const { bin, fsync = false } = options;
  const port = await freePort();
  const directory = `/tmp/lakesync-postgres-${process.pid}-${port}`;
  const watcher = startWatcher(WATCHER, {
    user: "postgres",
    args: [
      bin,
      directory,
      String(port),
      fsync ? "on" : "off",
    ],
  });
  const server = new WatchedServer(watcher, {
    name: "Postgres",
    url: `postgres://lakesync@127.0.0.1:${port}/postgres`,
    ready: "database system is ready to accept connections",
    // A server that was killed leaves its memory to children that take a moment to notice.
    retry: ["FATAL:  pre-existing shared memory", "FATAL:  lock file"],
  });
  await server.start();
  return server;
}
