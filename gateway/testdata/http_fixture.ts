// Real HTTP for the gateway's tests.
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import type { ErrorBody } from "@lakesync/core";
import { serveHandler } from "@lakesync/testing";
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Gateway } from "../gateway.ts";
import { createHandler, type Handler, type HandlerOptions } from "../http.ts";
import { nextTurn } from "../turn.ts";
import { type GatewaySetup, openGateway } from "./fixture.ts";

/** A gateway named `default` behind real HTTP. */
export interface Served extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly handler: Handler;
  readonly port: number;
  readonly url: string;
  /** How many requests have come to the handler. */
  requests(): number;
  /** Asks for a path below the URL. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** Pushes a body to the gateway `default`. */
  push(body: unknown, init?: RequestInit): Promise<Response>;
  /** Pulls from the gateway `default`. */
  pull(query?: string): Promise<Response>;
}

/** Serves a gateway. */
export async function serveGateway(
  options: GatewaySetup = {},
  handling: Partial<HandlerOptions> = {},
): Promise<Served> {
  const gateway = await openGateway(options);
  const handler = createHandler({ gateways: [gateway], ...handling });
  let requests = 0;
  const server = await serveHandler((request) => {
    requests++;
    return handler.fetch(request);
  });
  const ask = (path: string, init?: RequestInit) => fetch(`${server.url}${path}`, init);
  return {
    gateway,
    handler,
    port: server.port,
    url: server.url,
    requests: () => requests,
    ask,
    push: (body, init) =>
      ask("/v1/sync/default/push", { method: "POST", body: JSON.stringify(body), ...init }),
    pull: (query = "clientId=bob") => ask(`/v1/sync/default/pull?${query}`),
    async [Symbol.asyncDispose](): Promise<void> {
      await handler.drain();
      await server[Symbol.asyncDispose]();
      await gateway.close();
    },
  };
}

/** A push's body. */
export function pushBody(deltas: readonly unknown[], clientId = "alice:phone"): string {
  return JSON.stringify({ clientId, deltas });
}

/** Holds an answer to the form of errors, and gives its error. */
export async function errorOf(
  response: Response,
  expected: { status: number; code: string },
): Promise<ErrorBody["error"]> {
  const text = await response.text();
  assertEquals(response.status, expected.status, text);
  assertEquals(response.headers.get("content-type"), "application/json");
  const body = JSON.parse(text) as ErrorBody;
  assertEquals(Object.keys(body), ["error"]);
  const { error } = body;
  assertEquals(error.code, expected.code as ErrorBody["error"]["code"]);
  assertEquals(typeof error.message, "string");
  assertMatch(error.message, /[^.]$/);
  assertEquals(error.requestId, response.headers.get("x-request-id"));
  for (const key of Object.keys(error)) {
    assert(["code", "message", "requestId", "details"].includes(key), key);
  }
  return error;
}

/** Lets the event loop run on until something is so. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise<void>(nextTurn);
}

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

/** A connection on which a test says every byte itself. */
export class RawConnection implements Disposable {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #closed = false;

  constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => {
      this.#closed = true;
    });
  }

  /** How many bytes have come. */
  get received(): number {
    return this.#received.length;
  }

  /** What has come, as Latin-1. */
  get text(): string {
    return this.#received.toString("latin1");
  }

  send(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Sends nothing more. */
  end(): void {
    this.#socket.end();
  }

  /** Breaks the connection off. */
  destroy(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  /** Stops reading, so that the other side cannot go on sending. */
  pause(): void {
    this.#socket.pause();
  }

  /** Waits until the other side has closed the connection, and reads the answer, where there is one. */
  async answer(): Promise<RawAnswer | undefined> {
    await until(() => this.#closed);
    const end = this.#received.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    const [first, ...lines] = this.#received.subarray(0, end).toString("latin1").split("\r\n");
    const headers = new Map(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    const rest = this.#received.subarray(end + 4);
    const chunked = headers.get("transfer-encoding") === "chunked";
    return {
      status: Number(first!.split(" ")[1]),
      headers,
      body: chunked ? unchunk(rest) : rest,
    };
  }
}

function unchunk(bytes: Buffer): Uint8Array {
  const parts: Buffer[] = [];
  for (let at = 0;;) {
    const end = bytes.indexOf("\r\n", at);
    const size = Number.parseInt(bytes.subarray(at, end).toString("latin1"), 16);
    if (!(size > 0)) return Buffer.concat(parts);
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}

/** Sends a request as given, on a connection of its own, and reads the answer. */
export function rawRequest(
  port: number,
  head: readonly string[],
  body: string | Uint8Array = "",
): Promise<RawAnswer | undefined> {
  const connection = new RawConnection(port);
  connection.send(`${[...head, "Host: gateway", "Connection: close"].join("\r\n")}\r\n\r\n`);
  if (body.length > 0) connection.send(body);
  return connection.answer();
}
