import {
  decodeClientFrame,
  encodeGatewayFrame,
  type LakeSyncError,
  type PullRequest,
  type PushRequest,
  type SyncTransport,
  unwrapOrThrow,
  type WsGatewayMessage,
} from "@lakesync/core";

/** The client's end of a socket: what it is told. */
interface Listener {
  opened(): void;
  received(data: string | Uint8Array): void;
  closed(reason: { readonly code: number; readonly reason: string }): void;
}

/** The client's end of a socket: what it does. */
interface ClientEnd {
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(): void;
}

/** What opening a socket was asked with. */
export interface OpenedSocket {
  /** The URL. */
  readonly url: string;
  /** The subprotocols. */
  readonly protocols: readonly string[];
}

/** Options of {@linkcode FakeSockets}. */
export interface FakeSocketsOptions {
  /** What answers pushes and pulls; its pulls are held. */
  gateway: SyncTransport;
}

/**
 * WebSockets `lakesync.v1` to a gateway in the same process, for tests of clients: messages arrive in
 * order, a turn of the event loop later, and go wrong on demand.
 *
 * @example A socket that is refused
 * ```ts
 * import { FakeGateway, FakeSockets, ManualClock } from "@lakesync/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new ManualClock();
 * const gateway = new FakeGateway({ tables: [], clock, scheduler: clock });
 * const sockets = new FakeSockets({ gateway });
 * sockets.upgrade = "refuse";
 * let code = 0;
 * const listener = { opened() {}, received() {}, closed: (reason: { code: number }) => code = reason.code };
 * sockets.open("ws://gateway.test", { protocols: ["lakesync.v1"], listener });
 * await clock.advance(0);
 * assertEquals(code, 1006);
 * ```
 */
export class FakeSockets {
  /** What becomes of the next sockets: accepted, refused, or never answered. */
  upgrade: "accept" | "refuse" | "hang" = "accept";
  /** Each try to open one. */
  readonly tries: OpenedSocket[] = [];
  /** Those that are open, oldest first. */
  readonly all: FakeSocket[] = [];
  readonly #gateway: SyncTransport;

  /** @param options What is behind them. */
  constructor(options: FakeSocketsOptions) {
    this.#gateway = options.gateway;
  }

  /** The newest socket that is open. */
  get last(): FakeSocket {
    const socket = this.all.at(-1);
    if (socket === undefined) throw new TypeError("No socket is open");
    return socket;
  }

  /** Opens one, as `new WebSocket` does. */
  readonly open = (
    url: string,
    options: { readonly protocols: readonly string[]; readonly listener: Listener },
  ): ClientEnd => {
    const { protocols, listener } = options;
    this.tries.push({ url, protocols });
    const { upgrade } = this;
    const socket = new FakeSocket(this.#gateway, listener, () => {
      const at = this.all.indexOf(socket);
      if (at >= 0) this.all.splice(at, 1);
    });
    queueMicrotask(() => {
      if (upgrade === "refuse") socket.close(1006);
      if (upgrade !== "accept" || socket.isClosed) return;
      this.all.push(socket);
      listener.opened();
    });
    return { send: (data) => socket.take(data), close: () => socket.close(1005) };
  };
}

/** The gateway's end of a socket. */
export class FakeSocket {
  /** Messages that came from the client, by their type. */
  readonly received: string[] = [];
  /** Whether nothing passes any more, in neither direction, and neither end is told. */
  silent = false;
  readonly #gateway: SyncTransport;
  readonly #listener: Listener;
  readonly #ended: () => void;
  #binary = false;
  #closed = false;
  readonly #said: Set<unknown> = new Set();
  #stream: AbortController = new AbortController();
  #work: Promise<void> = Promise.resolve();

  /** Made by {@linkcode FakeSockets}. */
  constructor(gateway: SyncTransport, listener: Listener, ended: () => void) {
    this.#gateway = gateway;
    this.#listener = listener;
    this.#ended = ended;
  }

  /** Whether either end closed it. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Closes it. */
  close(code: number, reason = ""): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.abort();
    this.#ended();
    queueMicrotask(() => this.#listener.closed({ code, reason }));
  }

  /** Sends anything to the client, also what is no message. */
  say(data: string | Uint8Array): void {
    const ping = typeof data === "string"
      ? /^\{"type":"ping"(?:,"id":"?(\w+)"?)?/.exec(data)
      : undefined;
    // What comes back of it is the client's answer.
    if (ping) this.#said.add(ping[1]);
    queueMicrotask(() => {
      if (!this.#closed && !this.silent) this.#listener.received(data);
    });
  }

  /** Takes what the client sent. */
  take(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.#closed || this.silent) return;
    this.#binary = typeof data !== "string";
    const message = typeof data === "string"
      ? JSON.parse(data) as { readonly [key: string]: unknown }
      : unwrapOrThrow(decodeClientFrame(data));
    const { type, id, ...request } = message as { type: string; id?: string };
    this.received.push(type);
    // One after the other, as they came.
    if (type === "push") this.#work = this.#work.then(() => this.#push(id, request));
    else if (type === "pull") void this.#pull(id, request);
    else if (type === "ping" && !this.#said.has(id)) {
      this.#answer({ type, ...named(id) });
    }
  }

  async #push(id: string | undefined, request: object): Promise<void> {
    const answer = await this.#gateway.push(request as PushRequest);
    if (answer.ok) this.#answer({ type: "answer", ...named(id), ...answer.value });
    else this.#fail(id, answer.error);
  }

  async #pull(id: string | undefined, request: object): Promise<void> {
    this.#stream.abort();
    const stream = this.#stream = new AbortController();
    let asked = request as PullRequest;
    for (let first = true;; first = false) {
      const { signal } = stream;
      const page = await this.#gateway.pull(first ? asked : { ...asked, wait: 60 }, { signal });
      if (signal.aborted) return;
      if (!page.ok) return this.#fail(id, page.error);
      const { deltas, cursor } = page.value;
      if (first || deltas.length > 0) this.#answer({ type: "page", ...named(id), ...page.value });
      asked = { ...asked, cursor };
    }
  }

  #fail(id: string | undefined, error: LakeSyncError): void {
    const { code, message, details } = error;
    // Nobody answers a client that is not reached.
    if (code === "OFFLINE") return;
    this.#answer({
      type: "error",
      ...named(id),
      error: {
        code: code as "INTERNAL",
        message,
        requestId: "test",
        ...(details !== undefined && { details }),
      },
    });
  }

  #answer(message: WsGatewayMessage): void {
    this.say(this.#binary ? encodeGatewayFrame(message) : JSON.stringify(message));
  }
}

function named(id: string | undefined): { id?: string } {
  return id === undefined ? {} : { id };
}
