import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { type FetchHandler, serveHandler, type TestServer } from "../serve.ts";
import { bundle, ROOT } from "./bundle.ts";

/** What {@linkcode servePages} serves besides modules. */
export interface ServePagesOptions {
  /**
   * Asked first; undefined leaves a request to the rest.
   *
   * @default {() => undefined}
   */
  handler?: (request: Request) => Promise<Response | undefined> | Response | undefined;
}

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** Of what stays as it is for as long as there is this server: browsers keep it, and its compiled code. */
const KEPT = { "Cache-Control": "max-age=86400" };

/**
 * Serves the repository to a browser: `/PATH.ts` is that module as one bundle, made when it is first
 * asked for; `/npm/PACKAGE/…` a file of an npm package; `/blank` an empty page.
 *
 * @returns The server.
 */
export async function servePages(options: ServePagesOptions = {}): Promise<TestServer> {
  const { handler } = options;
  const bundles = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();
  const handle: FetchHandler = async (request) => {
    const answer = await handler?.(request);
    if (answer !== undefined) return answer;
    const path = normalize(decodeURIComponent(new URL(request.url).pathname));
    if (path === "/blank") return html("");
    try {
      if (/\.tsx?$/.test(path)) {
        let made = bundles.get(path);
        if (made === undefined) {
          const bundled = bundle(path.slice(1));
          bundles.set(path, made = bundled.then((text) => new TextEncoder().encode(text)));
        }
        return new Response(await made, { headers: { ...KEPT, "Content-Type": TYPES[".js"]! } });
      }
      const isPackage = path.startsWith("/npm/");
      const file = isPackage
        ? join(ROOT, "node_modules", path.slice("/npm/".length))
        : join(ROOT, path);
      const headers = {
        ...(isPackage && KEPT),
        "Content-Type": TYPES[extname(path)] ?? "application/octet-stream",
      };
      return new Response(new Uint8Array(await readFile(file)), { headers });
    } catch (thrown) {
      const missing = (thrown as { code?: unknown }).code === "ENOENT";
      return new Response((thrown as Error).message, { status: missing ? 404 : 500 });
    }
  };
  return await serveHandler(handle);
}

/** A page with this in its body. */
export function html(body: string): Response {
  return new Response(
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>LakeSync</title><link rel="icon" href="data:,"><body>${body}</body></html>`,
    { headers: { "Content-Type": TYPES[".html"]! } },
  );
}
