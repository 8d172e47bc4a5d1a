/**
 * Serves an example's page with what it needs to open offline. Its TypeScript and its styles are bundled in
 * memory when they are first asked for, so that there is nothing to build.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Pages } from "@lakesync/deploy";

/** A file of an app: its type, and how it is made. */
export type AppFile = readonly [type: string, make: () => Promise<Uint8Array | string>];

/** What an app is made of. */
export interface AppPagesOptions {
  /** Where the app is, without a slash at its end: `""` is the whole server. */
  readonly path: string;
  /** Its page. */
  readonly index: () => Promise<string>;
  /** The files that it opens with, by their names, beside those that every app of LakeSync has. */
  readonly files: ReadonlyMap<string, AppFile>;
  /**
   * Answers what is no file.
   *
   * @default {undefined} nothing else is there
   */
  readonly other?: (name: string, request: Request) => Promise<Response> | undefined;
}

const JAVASCRIPT = "text/javascript; charset=utf-8";

/** The two files of LakeSync's that an app's bundler has to put somewhere. */
const CLIENT: readonly (readonly [string, AppFile])[] = [
  ["lakesync-worker.js", script("client/worker_browser.ts")],
  ["sqlite3.wasm", ["application/wasm", sqliteWasm]],
];

const HEADERS = {
  "Cache-Control": "no-cache",
  "Content-Security-Policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

interface Made {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly etag: string;
}

/** The pages of an app; give them to `startServer()`. */
export function appPages(options: AppPagesOptions): Pages {
  const { path, index, files, other } = options;
  const shell = new Map<string, AppFile>([
    ["", ["text/html; charset=utf-8", index]],
    ...CLIENT,
    ...files,
  ]);
  const made = new Map<string, Promise<Made>>();

  const file = (name: string): Promise<Made> | undefined => {
    const wanted = name === "service-worker.js" ? serviceWorker : shell.get(name);
    if (wanted === undefined) return undefined;
    let found = made.get(name);
    if (found === undefined) {
      const [type, make] = wanted;
      made.set(name, found = make().then((body) => toMade(body, type)));
      // What could not be made may be made the next time.
      found.catch(() => made.delete(name));
    }
    return found;
  };
  const serviceWorker: AppFile = [JAVASCRIPT, async () => {
    const hash = createHash("sha256");
    for (const name of shell.keys()) hash.update((await file(name)!).etag);
    const version = hash.digest("hex").slice(0, 16);
    const list = { version, files: [...shell.keys()].map((name) => `./${name}`) };
    const code = await bundled("examples/page/service_worker_browser.ts");
    return `globalThis.appShell = ${JSON.stringify(list)};\n${code}`;
  }];

  return async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname !== path && !pathname.startsWith(`${path}/`)) return undefined;
    const name = pathname.slice(path.length + 1);
    const answer = other?.(name, request);
    if (answer !== undefined) return await answer;
    const found = await file(name);
    if (found === undefined) {
      // The gateway's own pages are beside those of an app that has the whole server.
      return path === "" ? undefined : new Response("There is no such page", { status: 404 });
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response(null, { status: 405, headers: { Allow: "GET, HEAD" } });
    }
    const headers = {
      ...HEADERS,
      "Content-Type": found.type,
      ETag: found.etag,
      // Its scope has the app's path without the slash, too.
      ...(name === "service-worker.js" && { "Service-Worker-Allowed": path || "/" }),
    };
    if (request.headers.get("if-none-match") === found.etag) {
      return new Response(null, { status: 304, headers });
    }
    return new Response(request.method === "HEAD" ? null : found.body, { headers });
  };
}

/** A module of the repository and all that it imports, as one script. */
export function script(entry: string): AppFile {
  return [JAVASCRIPT, () => bundled(entry)];
}

/** A style sheet of the repository and all that it imports, as one. */
export function styles(entry: string): AppFile {
  return ["text/css; charset=utf-8", () => bundled(entry)];
}

/** A file of the repository as it is. */
export function asIs(path: string, type: string): AppFile {
  return [type, () => readFile(new URL(`../${path}`, import.meta.url))];
}

async function bundled(entry: string): Promise<string> {
  // Only once a page is asked for: a gateway starts without it.
  const { bundle } = await import("@lakesync/testing/bundle");
  return await bundle(entry, { minify: true });
}

async function sqliteWasm(): Promise<Uint8Array> {
  const { resolve } = createRequire(import.meta.url);
  return await readFile(join(dirname(resolve("@sqlite.org/sqlite-wasm")), "sqlite3.wasm"));
}

function toMade(content: Uint8Array | string, type: string): Made {
  const body = typeof content === "string"
    ? new TextEncoder().encode(content)
    : new Uint8Array(content);
  const etag = `"${createHash("sha256").update(body).digest("base64url")}"`;
  return { body, type, etag };
}
