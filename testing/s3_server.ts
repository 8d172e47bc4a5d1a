import { spawn, spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { AwsClient } from "aws4fetch";
import { freePort } from "./free_port.ts";

const MINIO = process.env.LAKESYNC_MINIO ?? "minio";

/**
 * Finds the S3 server that tests run against.
 *
 * @returns Its program, or the reason for tests to be skipped.
 */
export function findMinio(): { readonly program: string; readonly skip: string | undefined } {
  const { status } = spawnSync(MINIO, ["--version"]);
  return {
    program: MINIO,
    skip: status === 0
      ? undefined
      : `needs ${MINIO} (CONTRIBUTING says how to build it; LAKESYNC_MINIO names another one)`,
  };
}

/** A MinIO of its own in a temporary directory. It ends with the process that started it. */
export interface S3TestServer {
  /** Its URL. */
  readonly endpoint: string;
  /** What it takes. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Makes an empty bucket. */
  makeBucket(name: string): Promise<void>;
}

/** With the end of its input, however that comes, the server ends and its directory goes. */
const WATCHER = `
  trap '' INT TERM
  mkdir -m 700 "$2"
  "$1" server "$2" --address "$3" --quiet >/dev/null 2>&1 &
  cat >/dev/null
  kill -KILL $!
  wait $! 2>/dev/null
  rm -rf "$2"
`;

/**
 * Starts a MinIO on a free port of 127.0.0.1.
 *
 * @param program Its program, from {@linkcode findMinio}.
 * @returns The server, which answers already.
 *
 * @example Make a bucket
 * ```ts ignore
 * import { findMinio, startMinio } from "@lakesync/testing";
 *
 * const server = await startMinio(findMinio().program);
 * await server.makeBucket("lake");
 * ```
 */
export async function startMinio(program: string): Promise<S3TestServer> {
  const address = `127.0.0.1:${await freePort()}`;
  const directory = join(tmpdir(), `lakesync-minio-${process.pid}-${address.split(":")[1]}`);
  const credentials = { accessKeyId: "lakesync", secretAccessKey: "lakesync-secret" };
  const watcher = spawn("/bin/sh", ["-c", WATCHER, "sh", program, directory, address], {
    env: {
      ...process.env,
      MINIO_ROOT_USER: credentials.accessKeyId,
      MINIO_ROOT_PASSWORD: credentials.secretAccessKey,
      MINIO_BROWSER: "off",
      MINIO_UPDATE: "off",
    },
    stdio: ["pipe", "ignore", "inherit"],
  });
  // The test's process may end while the server runs.
  watcher.unref();
  (watcher.stdin as unknown as { unref?(): void }).unref?.();
  const endpoint = `http://${address}`;
  await ready(`${endpoint}/minio/health/cluster`, () => watcher.exitCode !== null);
  const client = new AwsClient({ ...credentials, service: "s3", region: "us-east-1" });
  return {
    endpoint,
    credentials,
    async makeBucket(name) {
      const made = await client.fetch(`${endpoint}/${name}`, { method: "PUT" });
      const text = await made.text();
      if (!made.ok) throw new Error(`Cannot make the bucket "${name}": ${text}`);
    },
  };
}

/** Asks until the server answers. */
async function ready(url: string, ended: () => boolean): Promise<void> {
  while (!ended()) {
    try {
      const answer = await fetch(url);
      await answer.body?.cancel();
      if (answer.ok) return;
    } catch {
      // It does not listen yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("MinIO ended before it was ready");
}
