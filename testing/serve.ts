/** Answers a request, as gateways do. */
export type FetchHandler = (request: Request) => Response | Promise<Response>;

/** A handler that is served over real HTTP. Disposing of it ends the server. */
export interface TestServer extends AsyncDisposable {
  /** Its port on 127.0.0.1, one that was free. */
  readonly port: number;
  /** Its URL, without a slash at the end. */
  readonly url: string;
}

/**
 * Serves a handler over real HTTP on 127.0.0.1, with the server of the present runtime.
 *
 * @param handler The handler.
 * @returns The server, which listens already.
 *
 * @example Ask it
 * ```ts
 * import { serveHandler } from "@lakesync/testing";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await serveHandler(() => new Response("hello"));
 * assertEquals(await (await fetch(server.url)).text(), "hello");
 * ```
 */
export async function serveHandler(handler: FetchHandler): Promise<TestServer> {
  const { serve } = "Bun" in globalThis
    ? await import("./serve_bun.ts")
    : await import("./serve_deno.ts");
  return serve(handler);
}
