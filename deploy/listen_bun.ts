import type { Fetch } from "./listen.ts";

/** The part of `Bun` that this file uses. */
interface BunRuntime {
  serve(options: {
    hostname: string;
    port: number;
    idleTimeout: number;
    fetch: Fetch;
  }): { port: number; stop(closeActiveConnections?: boolean): Promise<void> };
}

/** Listens with `Bun.serve`. */
export function listenOn(
  fetch: Fetch,
  address: { host: string; port: number },
): { port: number; stop: () => Promise<void> } {
  const { Bun } = globalThis as unknown as { Bun: BunRuntime };
  const server = Bun.serve({
    hostname: address.host,
    port: address.port,
    // A held pull is silent for up to a minute; Bun would cut it off after ten seconds.
    idleTimeout: 0,
    fetch,
  });
  return { port: server.port, stop: () => server.stop() };
}
