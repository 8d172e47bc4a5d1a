/** What a socket tells. */
export interface SocketListener {
  /** It is open: messages can be sent. */
  opened(): void;
  /** A message came: text, or bytes. */
  received(data: string | Uint8Array): void;
  /** It is closed, or was never opened: the last that is told. */
  closed(reason: SocketClose): void;
}

/** Why a socket closed. */
export interface SocketClose {
  /** The code of RFC 6455, section 7.4; 1006 where there was no closing handshake. */
  readonly code: number;
  /** In words; often empty. */
  readonly reason: string;
}

/** A WebSocket. */
export interface ClientSocket {
  /** Sends a message: text, or bytes. */
  send(data: string | Uint8Array<ArrayBuffer>): void;
  /** Closes it. */
  close(): void;
}

/** Opens WebSockets. May throw where the URL or a protocol has a wrong form. */
export type OpenSocket = (
  url: string,
  options: { readonly protocols: readonly string[]; readonly listener: SocketListener },
) => ClientSocket;

/** Opens the WebSockets that browsers, Deno, Bun and Node have. */
export function openWebSocket(
  url: string,
  { protocols, listener }: Parameters<OpenSocket>[1],
): ClientSocket {
  const socket = new WebSocket(url, [...protocols]);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => listener.opened();
  socket.onmessage = ({ data }) => {
    listener.received(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer));
  };
  socket.onclose = ({ code, reason }) => listener.closed({ code, reason });
  // A close follows, which tells as much.
  socket.onerror = () => {};
  return {
    send: (data) => socket.send(data),
    close: () => socket.close(),
  };
}
