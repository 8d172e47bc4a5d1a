import { LakeSyncError, toLakeSyncError } from "@lakesync/core";
import { packErrors, unpackErrors } from "./_tab_pack.ts";

/** Carries messages between a tab and the worker that leads, in their order. */
export interface Port {
  /** Sends a message; it is copied. */
  post(message: unknown): void;
  /** Says who gets the messages from the other side. */
  listen(listener: (message: unknown) => void): void;
  /** Sends and gets no more. */
  close(): void;
}

/** What one side can be asked: arguments and value by name. */
export type Calls = { readonly [op: string]: readonly [args: unknown, value: unknown] };
/** What one side can be told, by name. */
export type News = { readonly [name: string]: unknown };

/** How one side answers. */
export interface RpcHandlers<Asked extends Calls, Told extends News> {
  /** Answers a call; what it throws becomes the other side's error. */
  readonly asked: {
    readonly [Op in keyof Asked]: (
      args: Asked[Op][0],
      signal: AbortSignal,
    ) => Promise<Asked[Op][1]>;
  };
  /** Hears of something. */
  readonly told: { readonly [Name in keyof Told]: (value: Told[Name]) => void };
}

type Message =
  | { readonly ask: number; readonly op: string; readonly args: unknown }
  | { readonly abort: number }
  | { readonly answer: number; readonly value: unknown }
  | { readonly answer: number; readonly error: unknown }
  | { readonly tell: string; readonly value: unknown };

/** Why a call has no answer: the other side is gone. What it asked for may have been done. */
export class LeaderLost extends Error {
  constructor() {
    super("The tab that led is gone");
    this.name = "LeaderLost";
  }
}

/**
 * Calls and news, both ways, under one term of leadership: messages of another term are none of
 * this one's.
 */
export class Rpc<
  Asks extends Calls,
  Tells extends News,
  Asked extends Calls,
  Told extends News,
> {
  readonly #port: Port;
  readonly #term: string;
  readonly #handlers: RpcHandlers<Asked, Told>;
  readonly #waiting: Map<number, { resolve(value: unknown): void; reject(e: unknown): void }> =
    new Map();
  readonly #answering: Map<number, AbortController> = new Map();
  #lastId = 0;
  #ended = false;

  constructor(port: Port, term: string, handlers: RpcHandlers<Asked, Told>) {
    this.#port = port;
    this.#term = term;
    this.#handlers = handlers;
  }

  /** Whether the other side is gone. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Asks the other side. Rejects with its error, with `LeaderLost`, or `ABORTED` by the signal. */
  ask<Op extends keyof Asks & string>(
    op: Op,
    args: Asks[Op][0],
    options: { signal?: AbortSignal } = {},
  ): Promise<Asks[Op][1]> {
    if (this.#ended) return Promise.reject(new LeaderLost());
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const { signal } = options;
    const abort = () => this.#post({ abort: id });
    try {
      this.#post({ ask: id, op, args });
    } catch (thrown) {
      return Promise.reject(
        new LakeSyncError(
          "VALIDATION_ERROR",
          `Cannot send a value to the leading tab: ${(thrown as Error).message}`,
          { cause: thrown },
        ),
      );
    }
    this.#waiting.set(id, { resolve, reject });
    if (signal?.aborted === true) abort();
    signal?.addEventListener("abort", abort, { once: true });
    return promise.finally(() => signal?.removeEventListener("abort", abort));
  }

  /** Tells the other side. */
  tell<Name extends keyof Tells & string>(name: Name, value: Tells[Name]): void {
    // News carry errors, but never what users wrote: nothing of that can be taken for one.
    this.#post({ tell: name, value: packErrors(value) });
  }

  /** Takes a message that came, if it is of this term. */
  take(message: unknown): void {
    const { term, rpc } = message as { term?: unknown; rpc?: Message };
    if (this.#ended || term !== this.#term || rpc === undefined) return;
    if ("ask" in rpc) void this.#answer(rpc.ask, rpc.op, rpc.args);
    else if ("abort" in rpc) this.#answering.get(rpc.abort)?.abort();
    else if ("tell" in rpc) this.#handlers.told[rpc.tell]?.(unpackErrors(rpc.value) as never);
    else {
      const waiting = this.#waiting.get(rpc.answer);
      this.#waiting.delete(rpc.answer);
      if ("error" in rpc) waiting?.reject(unpackErrors(rpc.error));
      else waiting?.resolve(rpc.value);
    }
  }

  /** The other side is gone: calls that wait are rejected, those being answered are stopped. */
  end(): void {
    this.#ended = true;
    for (const { reject } of this.#waiting.values()) reject(new LeaderLost());
    this.#waiting.clear();
    for (const controller of this.#answering.values()) controller.abort();
  }

  async #answer(id: number, op: string, args: unknown): Promise<void> {
    const controller = new AbortController();
    this.#answering.set(id, controller);
    try {
      const handler = this.#handlers.asked[op];
      if (handler === undefined) {
        throw new LakeSyncError(
          "VALIDATION_ERROR",
          `The leading tab does not know "${op}": reload it, it runs an older version of the app`,
        );
      }
      this.#post({ answer: id, value: await handler(args, controller.signal) });
    } catch (thrown) {
      this.#post({ answer: id, error: packErrors(toLakeSyncError(thrown, "INTERNAL")) });
    } finally {
      this.#answering.delete(id);
    }
  }

  #post(message: Message): void {
    if (!this.#ended) this.#port.post({ term: this.#term, rpc: message });
  }
}
