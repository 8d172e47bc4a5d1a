import { execFile } from "node:child_process";
import { userInfo } from "node:os";
import process from "node:process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A server that Debian has. */
export interface DebianServer<T> {
  /** Names it in reasons. */
  readonly name: string;
  /** Its package. */
  readonly package: string;
  /** Looks where it is on this machine. */
  readonly find: () => T | undefined;
  /** Whether it may be installed. */
  readonly install: boolean;
}

/**
 * Finds a server; as root it installs one where there is none.
 *
 * @param server The server.
 * @returns Where it is, or the reason for tests to be skipped.
 */
export async function findOrInstall<T>(
  server: DebianServer<T>,
): Promise<{ found: T; skip?: never } | { found?: never; skip: string }> {
  const { name, find } = server;
  const found = find();
  if (found !== undefined) return { found };
  if (!server.install) return { skip: `no ${name} server is installed` };
  if (userInfo().uid !== 0) {
    return { skip: `no ${name} server is installed, and only root can install one` };
  }
  try {
    await run("apt-get", ["update", "-q"]);
    await run("apt-get", ["install", "-qy", "--no-install-recommends", server.package], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  } catch (thrown) {
    const reason = (thrown as Error).message.trim().split("\n").at(-1);
    return { skip: `no ${name} server is installed, and apt-get cannot install one: ${reason}` };
  }
  const installed = find();
  return installed === undefined
    ? { skip: `apt-get has installed no ${name} server` }
    : { found: installed };
}
