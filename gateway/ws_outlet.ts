import type { Scheduler } from "@lakesync/core";
import type { WsFrame } from "./ws_message.ts";

/** A WebSocket that is open, whatever runtime it is of. */
export interface WsSocket {
  /** Sends a frame; it may wait in memory until the other side takes it. */
  send(frame: WsFrame): void;
  /** How many bytes wait. */
  readonly bufferedAmount: number;
  /** Closes it. May be called twice. */
  close(code: number, reason: string): void;
  /** Lets go of it without waiting for the other side. */
  terminate(): void;
}

/** Options of {@linkcode WsOutlet}. */
export interface WsOutletOptions {
  /** There is room while no more than so many bytes wait. */
  readonly sendBytes: number;
  /** A reader that takes nothing for so many ms is given up. */
  readonly stallMs: number;
  /** Measures them. */
  readonly scheduler: Scheduler;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** Called when the reader is given up. */
  readonly onStall: () => void;
}

/** How often to look whether a reader has gone on, in ms: sockets tell that on Bun only. */
const LOOK_FIRST_MS = 5;
const LOOK_MOST_MS = 250;

/**
 * What goes out on a WebSocket, held back while its reader is slow. Whoever is about to make something
 * for it waits for room first; so what waits in memory is bounded by what is made at once.
 */
export class WsOutlet {
  readonly #socket: WsSocket;
  readonly #options: WsOutletOptions;
  #waiting: Promise<void> | undefined;
  #look: AbortController | undefined;

  constructor(socket: WsSocket, options: WsOutletOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** Sends a frame. */
  send(frame: WsFrame): void {
    if (!this.#options.signal.aborted) this.#socket.send(frame);
  }

  /** Whether there is room. */
  get hasRoom(): boolean {
    return this.#socket.bufferedAmount <= this.#options.sendBytes;
  }

  /** Resolves when there is room, or the connection has ended. */
  async room(): Promise<void> {
    if (!this.hasRoom) await (this.#waiting ??= this.#wait());
  }

  /** The socket tells that bytes have gone out. */
  drained(): void {
    this.#look?.abort();
  }

  async #wait(): Promise<void> {
    const { scheduler, signal, stallMs, onStall } = this.#options;
    let least = this.#socket.bufferedAmount;
    let stalled = 0;
    let pause = LOOK_FIRST_MS;
    while (!this.hasRoom && !signal.aborted) {
      this.#look = new AbortController();
      const look = AbortSignal.any([this.#look.signal, signal]);
      await scheduler.delay(pause, { signal: look });
      const left = this.#socket.bufferedAmount;
      stalled = left < least ? 0 : stalled + pause;
      least = Math.min(least, left);
      if (stalled >= stallMs) {
        onStall();
        break;
      }
      pause = Math.min(2 * pause, LOOK_MOST_MS);
    }
    this.#waiting = undefined;
  }
}
