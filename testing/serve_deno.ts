import type { FetchHandler, TestServer } from "./serve.ts";

/** Serves a handler with `Deno.serve`. */
export function serve(handler: FetchHandler): TestServer {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);
  return {
    port: server.addr.port,
    url: `http://127.0.0.1:${server.addr.port}`,
    async [Symbol.asyncDispose](): Promise<void> {
      await server.shutdown();
    },
  };
}
