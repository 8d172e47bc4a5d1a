import type { WsConnection, WsUpgrade } from "@lakesync/gateway";
import { asksForWebSocket, type Served, SOCKET_IDLE_SECONDS } from "./listen.ts";

/** The part of a `ServerWebSocket` that this file uses. */
interface BunSocket {
  readonly data: SocketData;
  send(frame: string | Uint8Array): number;
  getBufferedAmount(): number;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** What goes with a socket from its request on. */
interface SocketData {
  readonly granted: WsUpgrade;
  connection: WsConnection | undefined;
}

/** The part of a Bun server that this file uses. */
interface BunServer {
  readonly port: number;
  upgrade(
    request: Request,
    options: { data: SocketData; headers: { readonly [name: string]: string } },
  ): boolean;
  stop(closeActiveConnections?: boolean): Promise<void>;
}

/** The part of `Bun` that this file uses. */
interface BunRuntime {
  serve(options: {
    hostname: string;
    port: number;
    idleTimeout: number;
    fetch(request: Request, server: BunServer): Promise<Response | undefined>;
    websocket: {
      idleTimeout: number;
      maxPayloadLength: number;
      backpressureLimit: number;
      open(socket: BunSocket): void;
      message(socket: BunSocket, frame: string | Uint8Array): void;
      drain(socket: BunSocket): void;
      close(socket: BunSocket): void;
    };
  }): BunServer;
}

/** Larger frames than this Bun refuses itself; the limit that is told of is the gateway's. */
const MAX_FRAME = 64 * 2 ** 20;

/** Listens with `Bun.serve`. */
export function listenOn(
  { fetch, upgrade }: Served,
  address: { host: string; port: number },
): { port: number; stop: () => Promise<void> } {
  const { Bun } = globalThis as unknown as { Bun: BunRuntime };
  const server = Bun.serve({
    hostname: address.host,
    port: address.port,
    // A held pull is silent for up to a minute; Bun would cut it off after ten seconds.
    idleTimeout: 0,
    async fetch(request, server) {
      if (!asksForWebSocket(request)) return await fetch(request);
      const granted = await upgrade(request);
      if (granted instanceof Response) return granted;
      const { protocol } = granted;
      const opened = server.upgrade(request, {
        data: { granted, connection: undefined },
        headers: protocol === undefined ? {} : { "sec-websocket-protocol": protocol },
      });
      if (opened) return undefined;
      granted.abandon();
      return new Response("The WebSocket could not be opened", { status: 400 });
    },
    websocket: {
      idleTimeout: SOCKET_IDLE_SECONDS,
      maxPayloadLength: MAX_FRAME,
      // What may wait is bounded before it is sent: nothing of it may be dropped here.
      backpressureLimit: 2 ** 31 - 1,
      open(socket) {
        socket.data.connection = socket.data.granted.open({
          send: (frame) => void socket.send(frame),
          get bufferedAmount() {
            return socket.getBufferedAmount();
          },
          close: (code, reason) => socket.close(code, reason),
          terminate: () => socket.terminate(),
        });
      },
      message: ({ data }, frame) =>
        data.connection?.receive(typeof frame === "string" ? frame : new Uint8Array(frame)),
      drain: ({ data }) => data.connection?.drained(),
      close: ({ data }) => data.connection?.closed(),
    },
  });
  return { port: server.port, stop: () => server.stop() };
}
