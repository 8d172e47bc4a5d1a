/** Serves the example's page, whose TypeScript is bundled when it is first asked for. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Pages } from "@lakesync/deploy";
import { bundle } from "@lakesync/testing/bundle";

const JAVASCRIPT = "text/javascript; charset=utf-8";

/** What the page is made of, by path: its type, and how it is made. */
const FILES: ReadonlyMap<string, readonly [type: string, make: () => Promise<BodyInit>]> = new Map([
  ["/", ["text/html; charset=utf-8", page("index.html")]],
  ["/style.css", ["text/css; charset=utf-8", page("style.css")]],
  ["/icon.svg", ["image/svg+xml", page("icon.svg")]],
  ["/app.js", [JAVASCRIPT, bundled("examples/react/page/app_browser.tsx")]],
  // The two files of LakeSync's that a bundler has to put somewhere.
  ["/lakesync-worker.js", [JAVASCRIPT, bundled("client/worker_browser.ts")]],
  ["/sqlite3.wasm", ["application/wasm", sqliteWasm]],
]);

/** The example's pages; give them to `startServer()`. */
export function sightingPages(): Pages {
  const made = new Map<string, Promise<BodyInit>>();
  return async (request) => {
    const { pathname } = new URL(request.url);
    const file = FILES.get(pathname);
    if (file === undefined) return undefined;
    const [type, make] = file;
    let body = made.get(pathname);
    if (body === undefined) {
      made.set(pathname, body = make());
      // What could not be made may be made the next time.
      body.catch(() => made.delete(pathname));
    }
    return new Response(await body, {
      headers: {
        "Content-Type": type,
        "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'",
      },
    });
  };
}

function page(name: string): () => Promise<BodyInit> {
  return async () => new Uint8Array(await readFile(new URL(`./page/${name}`, import.meta.url)));
}

function bundled(entry: string): () => Promise<BodyInit> {
  return () => bundle(entry, { minify: true });
}

async function sqliteWasm(): Promise<BodyInit> {
  const { resolve } = createRequire(import.meta.url);
  const file = join(dirname(resolve("@sqlite.org/sqlite-wasm")), "sqlite3.wasm");
  return new Uint8Array(await readFile(file));
}
