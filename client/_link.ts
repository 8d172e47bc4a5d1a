import {
  err,
  type ErrorCode,
  LakeSyncError,
  ok,
  type PullAnswer,
  type PullRequest,
  type PushAnswer,
  type PushRequest,
  type Result,
  type Scheduler,
  type WsClientMessage,
  type WsGatewayMessage,
} from "@lakesync/core";
import { type FrameCodec, messageError } from "./_frames.ts";
import { PageStream } from "./_page_stream.ts";
import type { ClientSocket, OpenSocket } from "./web_socket.ts";

/** Pings of the gateway that are answered between two looks at the clock. */
const MAX_ASKED = 100;

/** The closing code that says that a token was refused or has expired: policy violation. */
export const REFUSED = 1008;

/** What {@linkcode Link} works with. */
export interface LinkOptions {
  readonly url: string;
  readonly protocols: readonly string[];
  readonly open: OpenSocket;
  readonly codec: FrameCodec;
  readonly scheduler: Scheduler;
  /** Within so many ms it has to be open, and a push or a pull has to be answered. */
  readonly timeoutMs: number;
  /** After so many ms of silence it is asked whether the gateway is there. */
  readonly pingMs: number;
  /** Within so many ms it has to answer that. */
  readonly pongMs: number;
}

/** One WebSocket to a gateway, from its opening to its end. Nothing in it outlives a close. */
export class Link {
  /** Resolves when it is open, with true; or with false where it could not be opened. */
  readonly opened: Promise<boolean>;
  /** Resolves when it is closed, with the code: 1006 where this side gave it up. */
  readonly closed: Promise<number>;
  readonly #options: LinkOptions;
  readonly #socket: ClientSocket | undefined;
  readonly #ending: AbortController = new AbortController();
  readonly #pushes: Map<string, (result: Result<PushAnswer>) => void> = new Map();
  readonly #pings: Set<string> = new Set();
  readonly #whenOpen: PromiseWithResolvers<boolean> = Promise.withResolvers();
  readonly #whenClosed: PromiseWithResolvers<number> = Promise.withResolvers();
  #stream: PageStream | undefined;
  #ids = 0;
  #heard = 0;
  #asked = 0;
  #lasted = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.opened = this.#whenOpen.promise;
    this.closed = this.#whenClosed.promise;
    try {
      this.#socket = options.open(options.url, {
        protocols: options.protocols,
        listener: {
          opened: () => this.#opened(),
          received: (data) => this.#received(data),
          closed: ({ code, reason }) => this.#end(code, reason),
        },
      });
    } catch (thrown) {
      this.#end(1006, String(thrown));
    }
    void this.#limit(this.opened, options.timeoutMs, "it was not open in time");
  }

  /** Whether it has lived long enough to be called a good one. */
  get lasted(): boolean {
    return this.#lasted;
  }

  /** Sends a push. `OFFLINE` where the link ends before the answer. */
  async push(request: PushRequest): Promise<Result<PushAnswer>> {
    const id = this.#nextId();
    const { promise, resolve } = Promise.withResolvers<Result<PushAnswer>>();
    this.#pushes.set(id, resolve);
    this.#send({ type: "push", id, ...request });
    void this.#limit(promise, this.#options.timeoutMs, "a push was not answered in time");
    return await promise;
  }

  /**
   * The page after a cursor: the next of the open stream where that follows on the cursor, else the
   * first of a new stream. It is waited for as long as the request says.
   *
   * @returns The page; `OFFLINE` where the link ends; undefined where the signal aborted.
   */
  async pull(request: PullRequest, signal: AbortSignal): Promise<Result<PullAnswer> | undefined> {
    const over = new AbortController();
    const stop = () => over.abort();
    signal.addEventListener("abort", stop);
    const waitMs = (request.wait ?? 0) * 1000;
    void this.#options.scheduler.delay(waitMs, { signal: over.signal }).then(stop);
    try {
      if (this.#stream?.follows(request) !== true) this.#open(request);
      for (let { cursor } = request;;) {
        const page = await this.#stream!.take(over.signal);
        if (page === undefined) {
          if (signal.aborted) return undefined;
          // Asked once more, so that the answer is of now.
          this.#open({ ...request, cursor });
          return await this.#stream!.take(signal);
        }
        if (!page.ok || page.value.deltas.length > 0 || page.value.hasMore) return page;
        cursor = page.value.cursor;
      }
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
    }
  }

  /** Opens a stream, in the place of the one that is open: its first page comes at once. */
  #open(request: PullRequest): void {
    this.#stream?.end(
      new LakeSyncError(
        "CONFLICT",
        "Another pull has taken the place of this one: give each client a transport of its own",
      ),
    );
    const { wait: _, ...asked } = request;
    const stream = new PageStream(this.#nextId(), request);
    this.#stream = stream;
    if (this.#ending.signal.aborted) return stream.end(gone("it is closed"));
    this.#send({ type: "pull", id: stream.id, ...asked });
    void this.#limit(stream.answered, this.#options.timeoutMs, "a pull was not answered in time");
  }

  /** Gives it up, for a reason of its own or an error that the gateway told. */
  close(reason: string, code?: ErrorCode): void {
    this.#end(code === "UNAUTHENTICATED" ? REFUSED : 1006, reason);
    try {
      this.#socket?.close();
    } catch {
      // It is closed already.
    }
  }

  #opened(): void {
    if (this.#ending.signal.aborted) return;
    this.#whenOpen.resolve(true);
    void this.#beat();
  }

  #received(data: string | Uint8Array): void {
    if (this.#ending.signal.aborted) return;
    this.#heard++;
    const message = this.#options.codec.decode(data);
    if (!message.ok) return this.close(message.error.message);
    this.#take(message.value, data.length);
  }

  #take(message: WsGatewayMessage, bytes: number): void {
    const id = message.id === undefined ? undefined : String(message.id);
    switch (message.type) {
      case "ping":
        if (id !== undefined && this.#pings.delete(id)) return;
        // The gateway asks. One that answers answers would never come to an end.
        if (++this.#asked > MAX_ASKED) return this.close("the gateway sends pings without end");
        return this.#send(message);
      case "answer":
        return this.#answer(id, ok(message));
      case "page":
        // One of a stream that has been replaced is not waited for.
        if (this.#stream?.id !== id || this.#stream?.add(message, bytes) !== false) return;
        // It cannot be told to stop. Held pulls over HTTP come one at a time.
        return this.close("pages come faster than they are taken");
      case "error": {
        const error = messageError(message);
        if (id === undefined) return this.close(error.message, error.code);
        if (this.#stream?.id === id) this.#stream.end(error);
        else this.#answer(id, err(error));
      }
    }
  }

  #answer(id: string | undefined, result: Result<PushAnswer>): void {
    if (id === undefined) return;
    this.#pushes.get(id)?.(result);
    this.#pushes.delete(id);
  }

  #send(message: WsClientMessage): void {
    if (this.#ending.signal.aborted) return;
    try {
      this.#socket?.send(this.#options.codec.encode(message));
    } catch (thrown) {
      this.close(String(thrown));
    }
  }

  #end(code: number, reason: string): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    const error = gone(reason);
    this.#stream?.end(error);
    for (const answer of this.#pushes.values()) answer(err(error));
    this.#pushes.clear();
    this.#whenOpen.resolve(false);
    this.#whenClosed.resolve(code);
  }

  /** Gives the link up where something does not happen in time. It happens at the link's end, too. */
  async #limit(done: Promise<unknown>, ms: number, reason: string): Promise<void> {
    const timer = new AbortController();
    void done.then(() => timer.abort());
    await this.#options.scheduler.delay(ms, { signal: timer.signal });
    if (!timer.signal.aborted) this.close(reason);
  }

  /** Notices a connection whose other end is gone without a word. */
  async #beat(): Promise<void> {
    const { scheduler, pingMs, pongMs } = this.#options;
    const { signal } = this.#ending;
    for (;;) {
      const heard = this.#heard;
      await scheduler.delay(pingMs, { signal });
      if (signal.aborted) return;
      this.#lasted = true;
      this.#asked = 0;
      if (this.#heard !== heard) continue;
      const id = this.#nextId();
      this.#pings.add(id);
      this.#send({ type: "ping", id });
      await scheduler.delay(pongMs, { signal });
      if (signal.aborted) return;
      if (this.#heard === heard) return this.close("the gateway does not answer");
    }
  }

  #nextId(): string {
    return String(++this.#ids);
  }
}

function gone(reason: string): LakeSyncError {
  return new LakeSyncError(
    "OFFLINE",
    `The WebSocket to the gateway ended${reason === "" ? "" : `: ${reason}`}; try again later`,
  );
}
