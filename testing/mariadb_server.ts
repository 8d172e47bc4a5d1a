import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { freePort } from "./free_port.ts";
import { findOrInstall } from "./install_server.ts";
import { startWatcher, WatchedServer } from "./watched_server.ts";

/** The programs of a MariaDB server. */
export interface MariadbPrograms {
  /** The server itself. */
  readonly server: string;
  /** What makes its data directory. */
  readonly install: string;
}

/** Where a machine has a MariaDB server, or why a test of it is skipped. */
export type MariadbBinaries =
  | { readonly programs: MariadbPrograms; readonly skip?: never }
  | { readonly programs?: never; readonly skip: string };

/** Options of {@linkcode findMariadb}. */
export interface FindMariadbOptions {
  /**
   * Whether it may install a server.
   *
   * @default {true}
   */
  install?: boolean;
}

/**
 * Finds the programs of a MariaDB server on the PATH or where Debian puts them; as root it installs
 * them where there are none.
 *
 * @param options Whether it installs them.
 * @returns The programs, or the reason for tests to be skipped.
 */
export async function findMariadb(options: FindMariadbOptions = {}): Promise<MariadbBinaries> {
  const { found, skip } = await findOrInstall({
    name: "MariaDB",
    package: "mariadb-server",
    find: findPrograms,
    install: options.install ?? true,
  });
  return skip === undefined ? { programs: found } : { skip };
}

function findPrograms(): MariadbPrograms | undefined {
  const path = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/bin"];
  const find = (name: string) =>
    path.map((bin) => join(bin, name)).find((file) => existsSync(file));
  const server = find("mariadbd");
  const install = find("mariadb-install-db");
  return server === undefined || install === undefined ? undefined : { server, install };
}

/**
 * Watches over a server, as a process of its own, so that nothing is left behind however the tests
 * end: with the end of its input it stops the server and removes the directory. `$1` is the server,
 * `$2` the directory, `$3` the port, `$4` what makes the data, `$5` is 1 where a commit syncs, else 2.
 */
const WATCHER = `
  set -u
  trap '' INT TERM
  mkdir -m 700 "$2" &&
    "$4" --no-defaults --datadir="$2/data" --auth-root-authentication-method=normal \\
      --skip-test-db >"$2/log" 2>&1 ||
    { cat "$2/log"; rm -rf "$2"; exit 1; }
  server=
  stop() { [ -z "$server" ] || { kill "-$1" "$server"; wait "$server"; server=; } 2>/dev/null; }
  while read -r command; do
    case "$command" in
      start)
        "$1" --no-defaults --datadir="$2/data" --port="$3" --bind-address=127.0.0.1 \\
          --socket="$2/s" --pid-file="$2/pid" --skip-name-resolve \\
          --innodb-buffer-pool-size=128M --innodb-flush-log-at-trx-commit="$5" 2>&1 &
        server=$! ;;
      kill) stop KILL; echo stopped ;;
      stop) stop TERM; echo stopped ;;
    esac
  done
  stop KILL
  rm -rf "$2"
`;

/** How a server is started by {@linkcode startMariadb}. */
export interface MariadbServerOptions {
  /** Its programs, from {@linkcode findMariadb}. */
  programs: MariadbPrograms;
  /**
   * Whether it syncs to disk. Tests that kill processes, not machines, do not need it.
   *
   * @default {false}
   */
  fsync?: boolean;
}

/**
 * Starts a MariaDB server on a free port of 127.0.0.1. (As root it runs as the user `mysql`.)
 *
 * @param options Its programs.
 * @returns The server, which answers already.
 *
 * @example Ask it
 * ```ts ignore
 * import { findMariadb, startMariadb, test } from "@lakesync/testing";
 *
 * const { programs, skip } = await findMariadb();
 * test({ name: "it answers", skip }, async () => {
 *   await using server = await startMariadb({ programs: programs! });
 *   console.log(server.url);
 * });
 * ```
 */
export async function startMariadb(options: MariadbServerOptions): Promise<WatchedServer> {
  const { programs, fsync = false } = options;
  const port = await freePort();
  const watcher = startWatcher(WATCHER, {
    user: "mysql",
    args: [
      programs.server,
      `/tmp/lakesync-mariadb-${process.pid}-${port}`,
      String(port),
      programs.install,
      fsync ? "1" : "2",
    ],
  });
  const server = new WatchedServer(watcher, {
    name: "MariaDB",
    url: `mysql://root@127.0.0.1:${port}/mysql`,
    ready: "ready for connections",
    fatal: ["[ERROR] Aborting"],
  });
  await server.start();
  return server;
}
