import {
  type Clock,
  err,
  LakeSyncError,
  type Logger,
  ok,
  type PushAnswer,
  type Result,
  type Scheduler,
  WS_PROTOCOL,
} from "@lakesync/core";
import type { Caller } from "./caller.ts";
import type { Connections } from "./connections.ts";
import type { GatewayService } from "./service.ts";
import type { RequestLimits } from "./request_limits.ts";
import type { WsFrame } from "./ws_message.ts";
import type { WsSocket } from "./ws_outlet.ts";
import { WsSession } from "./ws_session.ts";

/** What is told about a WebSocket by whoever has it. */
export interface WsConnection {
  /** A frame has come. */
  receive(frame: WsFrame): void;
  /** Bytes that waited have gone out. A hint, for runtimes that give it. */
  drained(): void;
  /** It has ended. May be called twice. */
  closed(): void;
}

/** A WebSocket that may be opened. One of `open` and `abandon` must be called. */
export interface WsUpgrade {
  /** The subprotocol to name in the answer; undefined where the client named none. */
  readonly protocol: string | undefined;
  /** It is open. */
  open(socket: WsSocket): WsConnection;
  /** It could not be opened. */
  abandon(): void;
}

/** Who opens a WebSocket, and with which gateway. */
export interface WsAcceptOptions {
  /** The gateway. */
  readonly gateway: GatewayService;
  /** Who asks. */
  readonly caller: Caller;
  /** The request's id. */
  readonly requestId: string;
}

/** What {@linkcode WsSessions} work with. */
export interface WsSessionsParts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly requests: RequestLimits;
  readonly logger: Logger;
  readonly connections: Connections;
  /** Called with the answer to each push, and with the id of its gateway. */
  readonly onPush: (gateway: string, answer: PushAnswer) => void;
}

/** The WebSockets of a handler. */
export class WsSessions {
  readonly #parts: WsSessionsParts;
  readonly #open: Set<WsSession> = new Set();
  #draining = false;

  constructor(parts: WsSessionsParts) {
    this.#parts = parts;
  }

  /**
   * Judges a request to open one.
   *
   * @param request The request.
   * @param options Who asks, after they were let in.
   * @returns How to open it; `VALIDATION_ERROR` where it is no such request or names other
   * subprotocols only, `BACKPRESSURE` where there are enough.
   */
  accept(request: Request, options: WsAcceptOptions): Result<WsUpgrade> {
    const { headers } = request;
    if (
      headers.get("upgrade")?.toLowerCase() !== "websocket" || !headers.has("sec-websocket-key")
    ) {
      return invalid("This is the path of a WebSocket: open one");
    }
    const offered = headers.get("sec-websocket-protocol")?.split(",").map((name) => name.trim());
    if (offered !== undefined && !offered.includes(WS_PROTOCOL)) {
      return invalid(`The WebSocket's subprotocol is not known: name ${WS_PROTOCOL}`);
    }
    const { clock, scheduler, requests, logger, connections, onPush } = this.#parts;
    const slot = connections.open(options.gateway);
    if (!slot.ok) return slot;
    return ok({
      protocol: offered && WS_PROTOCOL,
      open: (socket) => {
        const session: WsSession = new WsSession(socket, {
          ...options,
          clock,
          scheduler,
          requests,
          logger,
          onPush: (answer) => onPush(options.gateway.id, answer),
          onEnd: () => {
            this.#open.delete(session);
            slot.value();
          },
        });
        this.#open.add(session);
        if (this.#draining) void session.drain();
        return session;
      },
      abandon: slot.value,
    });
  }

  /** Closes them all, each after the answer to the message under way. */
  async drain(): Promise<void> {
    this.#draining = true;
    await Promise.all([...this.#open].map((session) => session.drain()));
  }
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
