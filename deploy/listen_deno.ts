import type { Fetch } from "./listen.ts";

/** Listens with `Deno.serve`. */
export function listenOn(
  fetch: Fetch,
  address: { host: string; port: number },
): { port: number; stop: () => Promise<void> } {
  const server = Deno.serve(
    { hostname: address.host, port: address.port, onListen: () => {} },
    (request) => fetch(request),
  );
  return { port: server.addr.port, stop: () => server.shutdown() };
}
