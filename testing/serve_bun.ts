import type { FetchHandler, TestServer } from "./serve.ts";

/** The part of `Bun` that is used here. */
interface BunGlobal {
  serve(options: {
    hostname: string;
    port: number;
    idleTimeout: number;
    fetch: FetchHandler;
  }): { readonly port: number; stop(closeActive: boolean): Promise<void> };
}

/** Serves a handler with `Bun.serve`. */
export function serve(handler: FetchHandler): TestServer {
  const { Bun } = globalThis as unknown as { Bun: BunGlobal };
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: handler });
  return {
    port: server.port,
    url: `http://127.0.0.1:${server.port}`,
    async [Symbol.asyncDispose](): Promise<void> {
      await server.stop(true);
    },
  };
}
