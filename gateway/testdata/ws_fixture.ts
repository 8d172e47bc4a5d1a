// WebSockets without a network for the gateway's tests.
import { Buffer } from "node:buffer";
import {
  decodeGatewayFrame,
  encodeClientFrame,
  silentLogger,
  systemClock,
  systemScheduler,
  unwrapOrThrow,
  type WsAnswer,
  type WsClientMessage,
  type WsError,
  type WsGatewayMessage,
  type WsPage,
} from "@lakesync/core";
import { assert, assertEquals } from "@std/assert";
import type { Gateway } from "../gateway.ts";
import { RequestLimits } from "../request_limits.ts";
import { nextTurn } from "../turn.ts";
import type { WsFrame } from "../ws_message.ts";
import type { WsSocket } from "../ws_outlet.ts";
import { WsSession, type WsSessionOptions } from "../ws_session.ts";
import { ANYONE } from "./fixture.ts";

/** A client's end of a WebSocket that is in this process. */
export class TestSocket implements WsSocket {
  /** The gateway's end. */
  readonly session: WsSession;
  /** What the gateway has sent. */
  readonly frames: WsFrame[] = [];
  /** How the gateway closed it. */
  closedWith: { code: number; reason: string } | undefined;
  /** Whether the gateway let go of it. */
  terminated = false;
  /** Whether the gateway has forgotten it. */
  ended = false;
  /** While it does not read, what is sent waits. */
  reads = true;
  #waiting = 0;
  #seen = 0;

  constructor(gateway: Gateway, options: Partial<WsSessionOptions> = {}) {
    this.session = new WsSession(this, {
      gateway,
      caller: ANYONE,
      requestId: "test",
      clock: systemClock,
      scheduler: systemScheduler,
      requests: new RequestLimits(),
      logger: silentLogger,
      onPush: () => {},
      onEnd: () => this.ended = true,
      ...options,
    });
  }

  send(frame: WsFrame): void {
    assertEquals(this.closedWith, undefined, "nothing is sent on a closed socket");
    this.frames.push(frame);
    if (!this.reads) this.#waiting += Buffer.byteLength(frame);
  }

  get bufferedAmount(): number {
    return this.#waiting;
  }

  close(code: number, reason: string): void {
    this.closedWith ??= { code, reason };
    // Who does not read does not hear of it either.
    if (this.reads) this.session.closed();
  }

  terminate(): void {
    this.terminated = true;
    this.session.closed();
  }

  /** Takes what waits. */
  take(): void {
    this.#waiting = 0;
    this.session.drained();
  }

  /** Sends a message as JSON, or a frame as it is. */
  say(message: WsClientMessage | WsFrame | { readonly [name: string]: unknown }): void {
    const isFrame = typeof message === "string" || message instanceof Uint8Array;
    this.session.receive(isFrame ? message : JSON.stringify(message));
  }

  /** Sends a message as protobuf. */
  sayBinary(message: WsClientMessage): void {
    this.session.receive(encodeClientFrame(message));
  }

  /** The next message. */
  async next(): Promise<WsGatewayMessage> {
    while (this.frames.length <= this.#seen) await new Promise<void>(nextTurn);
    return messageOf(this.frames[this.#seen++]!);
  }

  /** The next message, which is a page. */
  async page(): Promise<WsPage> {
    const message = await this.next();
    assert(message.type === "page", JSON.stringify(message));
    return message;
  }

  /** The next message, which is an answer. */
  async answer(): Promise<WsAnswer> {
    const message = await this.next();
    assert(message.type === "answer", JSON.stringify(message));
    return message;
  }

  /** The next message, which is an error of this code. */
  async error(code: string): Promise<WsError> {
    const message = await this.next();
    assert(message.type === "error", JSON.stringify(message));
    assertEquals<string>(message.error.code, code);
    return message;
  }

  /** How many messages have come that were not looked at. */
  get unread(): number {
    return this.frames.length - this.#seen;
  }
}

/** A frame's message, whatever its form. */
export function messageOf(frame: WsFrame): WsGatewayMessage {
  return typeof frame === "string"
    ? JSON.parse(frame) as WsGatewayMessage
    : unwrapOrThrow(decodeGatewayFrame(frame));
}

/** Lets everything that is under way in this process come to rest. */
export async function settle(turns = 30): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>(nextTurn);
}
