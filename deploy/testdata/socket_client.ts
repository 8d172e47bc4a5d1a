// Clients of a real gateway's WebSocket: one over the runtime's own, one that says every byte itself.
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import {
  decodeGatewayFrame,
  encodeClientFrame,
  unwrapOrThrow,
  type WsClientMessage,
  type WsGatewayMessage,
  type WsPage,
} from "@lakesync/core";
import { createGateway, createHandler, type Gateway, type Handler } from "@lakesync/gateway";
import type { GatewayOptions, HandlerOptions } from "@lakesync/gateway";
import { memoryLogStore } from "@lakesync/gateway";
import { assert } from "@std/assert";
import { listen } from "../listen.ts";

/** The table of the tests of ways in and out. */
export const TODOS = {
  table: "todos",
  version: 1,
  columns: [
    { name: "title", type: "string" },
    { name: "done", type: "boolean" },
    { name: "note", type: "json", nullable: true },
  ],
} as const;

/** A gateway `default` behind real HTTP and WebSockets. */
export interface ListeningGateway extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly handler: Handler;
  readonly url: string;
  readonly port: number;
}

/** Starts one, in memory. */
export async function listeningGateway(
  options: Partial<GatewayOptions> = {},
  handling: Partial<HandlerOptions> = {},
): Promise<ListeningGateway> {
  const gateway = unwrapOrThrow(
    await createGateway({ id: "default", store: memoryLogStore(), tables: [TODOS], ...options }),
  );
  const handler = createHandler({ gateways: [gateway], ...handling });
  const { url, stop } = unwrapOrThrow(
    await listen(handler.fetch, { upgrade: handler.upgrade }),
  );
  return {
    gateway,
    handler,
    url,
    port: Number(new URL(url).port),
    async [Symbol.asyncDispose](): Promise<void> {
      await handler.drain();
      await stop();
      await gateway.close();
    },
  };
}

/** A WebSocket of the runtime's own. */
export class SocketClient implements AsyncDisposable {
  readonly socket: WebSocket;
  /** How it was closed. */
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #form: "json" | "protobuf";
  readonly #messages: WsGatewayMessage[] = [];
  #arrived = Promise.withResolvers<void>();
  #isClosed = false;

  private constructor(socket: WebSocket, form: "json" | "protobuf") {
    this.socket = socket;
    this.#form = form;
    const closed = Promise.withResolvers<{ code: number; reason: string }>();
    this.closed = closed.promise;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      this.#messages.push(
        typeof data === "string"
          ? JSON.parse(data) as WsGatewayMessage
          : unwrapOrThrow(decodeGatewayFrame(new Uint8Array(data))),
      );
      this.#tell();
    };
    socket.onclose = ({ code, reason }) => {
      this.#isClosed = true;
      closed.resolve({ code, reason });
      this.#tell();
    };
  }

  #tell(): void {
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }

  /** Opens one; rejects where that is refused. */
  static async open(
    url: string,
    options: { form?: "json" | "protobuf"; protocols?: string[]; gateway?: string } = {},
  ): Promise<SocketClient> {
    const { form = "json", protocols = ["lakesync.v1"], gateway = "default" } = options;
    const address = `${url.replace("http", "ws")}/v1/sync/${gateway}/ws`;
    const socket = new WebSocket(address, protocols);
    const client = new SocketClient(socket, form);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error("The WebSocket was not opened"));
    });
    socket.onerror = null;
    return client;
  }

  /** Sends a message in the client's form. */
  say(message: WsClientMessage): void {
    this.socket.send(
      this.#form === "json" ? JSON.stringify(message) : encodeClientFrame(message),
    );
  }

  /** The next message; undefined where the connection has ended. */
  async next(): Promise<WsGatewayMessage | undefined> {
    while (this.#messages.length === 0) {
      if (this.#isClosed) return undefined;
      await this.#arrived.promise;
    }
    return this.#messages.shift();
  }

  /** The next message, which is a page. */
  async page(): Promise<WsPage> {
    const message = await this.next();
    assert(message?.type === "page", JSON.stringify(message));
    return message;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close();
    await this.closed;
  }
}

/** A connection that says every byte itself. */
export class RawSocket implements Disposable {
  readonly #socket: Socket;
  readonly #path: string;
  #received: Buffer = Buffer.alloc(0);
  #arrived = Promise.withResolvers<void>();
  #closed = false;

  constructor(port: number, path = "/v1/sync/default/ws") {
    this.#path = path;
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#tell();
    });
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => {
      this.#closed = true;
      this.#tell();
    });
  }

  #tell(): void {
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }

  /** Asks for a WebSocket; gives the head of the answer. */
  async upgrade(headers: readonly string[] = []): Promise<string> {
    const lines = [
      `GET ${this.#path} HTTP/1.1`,
      "Host: gateway",
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Version: 13",
      ...headers,
    ];
    this.#socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    for (;;) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end >= 0) {
        const head = this.#received.subarray(0, end).toString("latin1");
        this.#received = this.#received.subarray(end + 4);
        return head;
      }
      if (this.#closed) return "";
      await this.#arrived.promise;
    }
  }

  /** Sends a text frame. */
  say(message: WsClientMessage): void {
    const payload = Buffer.from(JSON.stringify(message));
    assert(payload.length < 65_536);
    const size = payload.length < 126
      ? Buffer.from([0x80 | payload.length])
      : Buffer.from([0x80 | 126, payload.length >> 8, payload.length & 0xff]);
    // A mask of nothing but zeros leaves the payload as it is.
    this.write(Buffer.concat([Buffer.from([0x81]), size, Buffer.alloc(4), payload]));
  }

  /** Sends bytes as they are. */
  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Stops reading, so that the other side cannot go on sending. */
  pause(): void {
    this.#socket.pause();
  }

  /** Resolves when the other side has closed the connection. */
  async ended(): Promise<void> {
    this.#socket.resume();
    while (!this.#closed) await this.#arrived.promise;
  }

  /** Waits until so many bytes have come. */
  async received(bytes: number): Promise<void> {
    while (this.#received.length < bytes && !this.#closed) await this.#arrived.promise;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
