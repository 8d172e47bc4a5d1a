import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { serveHandler } from "./serve.ts";
import { freePort } from "./free_port.ts";

/** Where `deno run -A testing/fetch_jars.ts` puts what it fetches. */
export const JARS: string = process.env.LAKESYNC_JARS ??
  join(homedir(), ".cache", "lakesync", "jars");

const JAVA = process.env.LAKESYNC_JAVA ?? "java";

/**
 * Looks for what a REST catalogue of the tests needs.
 *
 * @param kind `iceberg-rest`, which is Apache's own, or `nessie`.
 * @returns The reason for tests to be skipped, where it is not there.
 */
export function findCatalogue(kind: "iceberg-rest" | "nessie"): string | undefined {
  const hint = "deno run -A testing/fetch_jars.ts";
  if (!existsSync(join(JARS, kind))) return `needs ${join(JARS, kind)} (${hint})`;
  const run = spawnSync(JAVA, ["-version"], { encoding: "utf8" });
  const version = Number(/version "(\d+)/.exec(run.stderr ?? "")?.[1] ?? 0);
  const least = kind === "nessie" ? 21 : 17;
  // Hadoop, which the one of Apache writes files with, does not run on those from 24 on.
  if (version >= least && version < 24) return undefined;
  return `needs Java ${least} to 23 (LAKESYNC_JAVA names one; ${JAVA} is ${
    version || "not there"
  })`;
}

/** A catalogue that runs. It ends with the process that started it. */
export interface CatalogueServer {
  /** Its URL, without `/v1`. */
  readonly url: string;
}

/** With the end of its input, however that comes, the server ends and its directory goes. */
const WATCHER = `
  trap '' INT TERM
  directory="$1"; shift
  mkdir -m 700 "$directory"
  "$@" >"$directory/log" 2>&1 &
  cat >/dev/null
  kill -KILL $!
  wait $! 2>/dev/null
  rm -rf "$directory"
`;

const SMALL_JVM = ["-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/**
 * Starts Apache's own REST catalogue, with its tables in a directory that goes with it.
 *
 * @returns The catalogue, which answers already.
 */
export async function startIcebergRest(): Promise<CatalogueServer> {
  const port = await freePort();
  const directory = newDirectory(port);
  const url = `http://127.0.0.1:${port}`;
  await start(directory, {
    command: [
      ...SMALL_JVM,
      "-cp",
      join(JARS, "iceberg-rest", "*"),
      "org.apache.iceberg.rest.RESTCatalogServer",
    ],
    env: {
      CATALOG_WAREHOUSE: `file://${directory}`,
      // One connection to one file: in memory each connection would have tables of its own.
      CATALOG_URI: `jdbc:sqlite:${directory}/catalogue.db`,
      CATALOG_CLIENTS: "1",
      "CATALOG_JDBC_SCHEMA__VERSION": "V1",
      CATALOG_REST_PORT: String(port),
    },
    ready: `${url}/v1/config`,
  });
  return { url };
}

/**
 * Starts a Nessie in memory, with its tables in a bucket.
 *
 * @param s3 The bucket's server, and the bucket.
 * @returns The catalogue, which answers already. Its warehouse is `warehouse`.
 */
export async function startNessie(s3: {
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly bucket: string;
}): Promise<CatalogueServer> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/iceberg`;
  const options = "nessie.catalog.service.s3.default-options";
  const settings = {
    "quarkus.http.host": "127.0.0.1",
    "quarkus.http.port": String(port),
    "quarkus.management.host": "127.0.0.1",
    "quarkus.management.port": String(await freePort()),
    "nessie.version.store.type": "IN_MEMORY",
    "nessie.catalog.default-warehouse": "warehouse",
    "nessie.catalog.warehouses.warehouse.location": `s3://${s3.bucket}/nessie`,
    [`${options}.region`]: "us-east-1",
    [`${options}.path-style-access`]: "true",
    [`${options}.endpoint`]: s3.endpoint,
    [`${options}.access-key`]: "urn:nessie-secret:quarkus:lake-s3",
    "lake-s3.name": s3.credentials.accessKeyId,
    "lake-s3.secret": s3.credentials.secretAccessKey,
  };
  await start(newDirectory(port), {
    command: [
      ...SMALL_JVM,
      ...Object.entries(settings).map(([name, value]) => `-D${name}=${value}`),
      "-jar",
      join(JARS, "nessie", "nessie.jar"),
    ],
    env: {},
    ready: `${url}/v1/config`,
  });
  return { url };
}

/** What goes wrong with a request to a catalogue. */
export type CatalogueFault =
  /** It is not carried out and answered so. */
  | { readonly refuse: number }
  /** It is carried out and answered so. */
  | { readonly doThen: number }
  /** It is carried out, and its answer breaks off. */
  | "cut-answer"
  /** It is carried out when this has resolved. */
  | { readonly after: Promise<void> };

/** A request on its way to a catalogue. */
export interface CatalogueRequest {
  readonly method: string;
  /** Its path and query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
  /** The first commit to a table is 1; 0 for what is no commit. */
  readonly commit: number;
}

/**
 * A proxy in front of a catalogue, where chosen requests go wrong.
 *
 * @param upstream The catalogue's URL.
 * @param fault Called for each request; what it returns goes wrong with it, undefined nothing.
 * @returns The proxy. Disposing of it ends it.
 */
export async function faultyCatalogue(
  upstream: string,
  fault: (request: CatalogueRequest) => CatalogueFault | undefined,
): Promise<CatalogueServer & AsyncDisposable> {
  const { origin, pathname } = new URL(upstream);
  let commits = 0;
  let self = "";
  const server = await serveHandler(async (request) => {
    const { pathname: path, search } = new URL(request.url);
    const body = await request.text();
    const isCommit = request.method === "POST" && /\/tables\/[^/]+$/.test(path);
    const what = fault({
      method: request.method,
      path: path + search,
      headers: request.headers,
      body,
      commit: isCommit ? ++commits : 0,
    });
    if (typeof what === "object" && "refuse" in what) return failure(what.refuse);
    if (typeof what === "object" && "after" in what) await what.after;
    const headers = new Headers(request.headers);
    for (const name of ["host", "accept-encoding", "content-length", "connection"]) {
      headers.delete(name);
    }
    const answer = await fetch(`${origin}${path}${search}`, {
      method: request.method,
      headers,
      ...(body !== "" && { body }),
    });
    const text = await answer.text();
    if (what === "cut-answer") return new Response(text.slice(0, text.length / 2));
    if (typeof what === "object" && "doThen" in what) return failure(what.doThen);
    const passed = new Headers();
    for (const name of ["content-type", "etag"]) {
      const value = answer.headers.get(name);
      if (value !== null) passed.set(name, value);
    }
    const empty = answer.status === 204 || answer.status === 304;
    return new Response(empty ? null : text.replaceAll(origin, self), {
      status: answer.status,
      headers: passed,
    });
  });
  self = server.url;
  return {
    url: `${server.url}${pathname === "/" ? "" : pathname}`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function failure(status: number): Response {
  return Response.json(
    { error: { message: "scripted", type: "ScriptedFailure", code: status } },
    { status },
  );
}

function newDirectory(port: number): string {
  return join(tmpdir(), `lakesync-catalogue-${process.pid}-${port}`);
}

async function start(
  directory: string,
  { command, env, ready }: {
    readonly command: readonly string[];
    readonly env: { readonly [name: string]: string };
    readonly ready: string;
  },
): Promise<void> {
  const watcher = spawn("/bin/sh", ["-c", WATCHER, "sh", directory, JAVA, ...command], {
    env: { ...process.env, ...env },
    stdio: ["pipe", "ignore", "inherit"],
  });
  // The test's process may end while the server runs.
  watcher.unref();
  (watcher.stdin as unknown as { unref?(): void }).unref?.();
  for (let tries = 0; tries < 1_200; tries++) {
    try {
      const answer = await fetch(ready);
      await answer.body?.cancel();
      if (answer.ok) return;
    } catch {
      // It does not listen yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`The catalogue did not get ready: see ${directory}/log`);
}
