import type { WsUpgrade } from "@lakesync/gateway";
import { asksForWebSocket, type Served, SOCKET_IDLE_SECONDS } from "./listen.ts";

/** Listens with `Deno.serve`. */
export function listenOn(
  served: Served,
  address: { host: string; port: number },
): { port: number; stop: () => Promise<void> } {
  const server = Deno.serve(
    { hostname: address.host, port: address.port, onListen: () => {} },
    (request) => answer(request, served),
  );
  return { port: server.addr.port, stop: () => server.shutdown() };
}

/** Answers a request that `Deno.serve` or `deno serve` hands over, also one for a WebSocket. */
export async function answer(request: Request, { fetch, upgrade }: Served): Promise<Response> {
  if (!asksForWebSocket(request)) return await fetch(request);
  const granted = await upgrade(request);
  return granted instanceof Response ? granted : openSocket(request, granted);
}

function openSocket(request: Request, granted: WsUpgrade): Response {
  const { protocol } = granted;
  let upgraded: Deno.WebSocketUpgrade;
  try {
    upgraded = Deno.upgradeWebSocket(request, {
      idleTimeout: SOCKET_IDLE_SECONDS,
      ...(protocol !== undefined && { protocol }),
    });
  } catch (thrown) {
    granted.abandon();
    throw thrown;
  }
  const { socket, response } = upgraded;
  socket.binaryType = "arraybuffer";
  const connection = granted.open({
    send(frame) {
      if (socket.readyState === WebSocket.OPEN) {
        socket.send(frame as string | Uint8Array<ArrayBuffer>);
      }
    },
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
    close: (code, reason) => socket.close(code, reason),
    // Deno has no way to let go of a WebSocket; it does so itself when a ping is not answered.
    terminate: () => {},
  });
  socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) =>
    connection.receive(typeof data === "string" ? data : new Uint8Array(data));
  socket.onclose = () => connection.closed();
  return response;
}
