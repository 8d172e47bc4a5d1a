/**
 * Serves the to-do app at `/examples/todo`: its TypeScript is bundled in memory when it is first asked
 * for, so that there is nothing to build.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Pages } from "@lakesync/deploy";
import { signIn } from "./sign_in.ts";

/** Options of {@linkcode todoPages}. */
export interface TodoPagesOptions {
  /**
   * The gateway that has the data.
   *
   * @default {"default"}
   */
  gateway?: string;
  /**
   * What the gateway verifies tokens with: with it the pages sign tokens for whoever asks.
   *
   * @default {undefined} no tokens: for a gateway without authentication
   */
  secret?: string;
}

/** Where the app is. */
export const TODO_PATH = "/examples/todo";

interface File {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly etag: string;
}

const JAVASCRIPT = "text/javascript; charset=utf-8";

/** The files that the app opens with, by their paths in it: what each is, and how it is made. */
const SHELL: ReadonlyMap<
  string,
  readonly [type: string, make: () => Promise<Uint8Array | string>]
> = new Map([
  ["style.css", ["text/css; charset=utf-8", page("style.css")]],
  ["app.js", [JAVASCRIPT, bundled("examples/todo/page/app_browser.ts")]],
  ["lakesync-worker.js", [JAVASCRIPT, bundled("client/worker_browser.ts")]],
  ["sqlite3.wasm", ["application/wasm", sqliteWasm]],
  ["manifest.webmanifest", ["application/manifest+json", page("manifest.webmanifest")]],
  ["icon.svg", ["image/svg+xml", page("icon.svg")]],
  ...["icon-180.png", "icon-192.png", "icon-512.png", "icon-maskable-512.png"].map(
    (name): [string, [string, () => Promise<Uint8Array>]] => [name, ["image/png", page(name)]],
  ),
]);

const HEADERS = {
  "Cache-Control": "no-cache",
  "Content-Security-Policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/** The app's pages; give them to `startServer()`. */
export function todoPages(options: TodoPagesOptions = {}): Pages {
  const { gateway = "default", secret } = options;
  const made = new Map<string, Promise<File>>();

  const file = (name: string): Promise<File> | undefined => {
    let found = made.get(name);
    if (found === undefined && (found = make(name)) !== undefined) {
      made.set(name, found);
      // What could not be made may be made the next time.
      found.catch(() => made.delete(name));
    }
    return found;
  };
  const make = (name: string): Promise<File> | undefined => {
    const listed = SHELL.get(name);
    if (listed !== undefined) return listed[1]().then((body) => toFile(body, listed[0]));
    if (name === "") return index().then((body) => toFile(body, "text/html; charset=utf-8"));
    if (name === "service-worker.js") {
      return serviceWorker().then((body) => toFile(body, JAVASCRIPT));
    }
    return undefined;
  };
  const index = async (): Promise<string> => {
    const setup = JSON.stringify({ gateway, signIn: secret !== undefined });
    const text = new TextDecoder().decode(await page("index.html")());
    return text.replace(
      /(<script type="application\/json" id="setup">)[^]*?(<\/script>)/,
      (_, begin: string, end: string) => begin + setup + end,
    );
  };
  const serviceWorker = async (): Promise<string> => {
    const files = ["", ...SHELL.keys()];
    const hash = createHash("sha256");
    for (const name of files) hash.update((await file(name)!).etag);
    const shell = {
      version: hash.digest("hex").slice(0, 16),
      files: files.map((name) => `./${name}`),
    };
    const code = await bundled("examples/todo/page/service_worker_browser.ts")();
    return `globalThis.appShell = ${JSON.stringify(shell)};\n${code}`;
  };

  return async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname !== TODO_PATH && !pathname.startsWith(`${TODO_PATH}/`)) return undefined;
    const name = pathname.slice(TODO_PATH.length + 1);
    if (name === "sign-in" && secret !== undefined) {
      return await signIn(request, { gateway, secret });
    }
    const found = await file(name);
    if (found === undefined) return new Response("There is no such page", { status: 404 });
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response(null, { status: 405, headers: { Allow: "GET, HEAD" } });
    }
    const headers = {
      ...HEADERS,
      "Content-Type": found.type,
      ETag: found.etag,
      // Its scope has the app's path without the slash, too.
      ...(name === "service-worker.js" && { "Service-Worker-Allowed": TODO_PATH }),
    };
    if (request.headers.get("if-none-match") === found.etag) {
      return new Response(null, { status: 304, headers });
    }
    return new Response(request.method === "HEAD" ? null : found.body, { headers });
  };
}

function toFile(content: Uint8Array | string, type: string): File {
  const body = typeof content === "string"
    ? new TextEncoder().encode(content)
    : new Uint8Array(content);
  const hash = createHash("sha256").update(body).digest("hex");
  return { body, type, etag: `"${hash.slice(0, 16)}"` };
}

function page(name: string): () => Promise<Uint8Array> {
  return () => readFile(new URL(`./page/${name}`, import.meta.url));
}

function bundled(entry: string): () => Promise<string> {
  return async () => {
    // Only once a page is asked for: a gateway starts without it.
    const { bundle } = await import("@lakesync/testing/bundle");
    return await bundle(entry, { minify: true });
  };
}

async function sqliteWasm(): Promise<Uint8Array> {
  const { resolve } = createRequire(import.meta.url);
  return await readFile(join(dirname(resolve("@sqlite.org/sqlite-wasm")), "sqlite3.wasm"));
}
