import { Buffer } from "node:buffer";
import {
  type Clock,
  LakeSyncError,
  type Logger,
  type PushAnswer,
  type Result,
  type Scheduler,
  toLakeSyncError,
  type WsId,
} from "@lakesync/core";
import type { Admitted } from "./admission.ts";
import type { Caller } from "./caller.ts";
import { expiredError, whenExpired } from "./expiry.ts";
import type { GatewayService } from "./service.ts";
import { errorBody, type Form } from "./http_form.ts";
import { weighJson } from "./json_weight.ts";
import type { RequestLimits } from "./request_limits.ts";
import {
  decodeMessage,
  encodeMessage,
  encodePage,
  formOfFrame,
  queryOfPull,
  withId,
  type WsFrame,
  type WsRequest,
} from "./ws_message.ts";
import { WsOutlet, type WsSocket } from "./ws_outlet.ts";
import { pagesWithNews, SchemaNews } from "./schema_news.ts";
import { WsStream } from "./ws_stream.ts";

/** Why the gateway closes a WebSocket (RFC 6455, section 7.4.1). */
export const WsClose = {
  /** The gateway shuts down: connect again in a moment. */
  goingAway: 1001,
  /** Too many frames in a row were no messages. */
  notMessages: 1007,
  /** The reader took nothing for too long. */
  stalled: 1008,
  /** The token has run out: connect again with a new one. */
  expired: 1008,
  /** A frame was larger than a body may be. */
  tooLarge: 1009,
  /** More messages were sent than are kept waiting. */
  tooMany: 1013,
} as const;

/** So many frames in a row that are no messages end a connection. */
const MAX_GARBAGE = 100;

/** What a {@linkcode WsSession} needs. */
export interface WsSessionOptions {
  /** The gateway that it is with. */
  readonly gateway: GatewayService;
  /** Who opened it. */
  readonly caller: Caller;
  /** The id of the request that opened it. */
  readonly requestId: string;
  /** Physical time. */
  readonly clock: Clock;
  /** Waiting. */
  readonly scheduler: Scheduler;
  /** What its messages are held to, as requests are. */
  readonly requests: RequestLimits;
  /** Where its log lines go. */
  readonly logger: Logger;
  /** Called with the answer to a push. */
  readonly onPush: (answer: PushAnswer) => void;
  /** Called once when the connection is gone, and with it what waited to be read. */
  readonly onEnd: () => void;
}

/**
 * A WebSocket `lakesync.v1` (docs/protocol.md). It knows no runtime: whoever has the socket tells it
 * what comes (`receive`, `drained`, `closed`).
 */
export class WsSession {
  readonly #options: WsSessionOptions;
  readonly #socket: WsSocket;
  readonly #outlet: WsOutlet;
  readonly #ended = new AbortController();
  readonly #queue: { readonly frame: WsFrame; readonly admitted: Admitted }[] = [];
  #queuedBytes = 0;
  #working = false;
  #handling: Promise<void> | undefined;
  #draining = false;
  #closed = false;
  #stream: WsStream | undefined;
  #form: Form = "json";
  #garbage = 0;

  constructor(socket: WsSocket, options: WsSessionOptions) {
    this.#socket = socket;
    this.#options = options;
    const { sendBytes, stallMs } = options.gateway.limits;
    this.#outlet = new WsOutlet(socket, {
      sendBytes,
      stallMs,
      scheduler: options.scheduler,
      signal: this.#ended.signal,
      onStall: () => {
        this.#close(WsClose.stalled, "Nothing was read for too long");
        socket.terminate();
      },
    });
    const { caller, clock, scheduler } = options;
    void whenExpired(caller, { clock, scheduler, signal: this.#ended.signal }).then((isSo) => {
      if (!isSo || this.#ended.signal.aborted) return;
      this.#sendError(expiredError());
      this.#close(WsClose.expired, "The token has expired");
    });
  }

  /** A frame has come. */
  receive(frame: WsFrame): void {
    if (this.#ended.signal.aborted || this.#draining) return;
    const { bodyBytes, socketMessages } = this.#options.gateway.limits;
    const bytes = Buffer.byteLength(frame);
    if (bytes > bodyBytes) {
      const message = `The message is larger than ${bodyBytes} bytes: send it in parts`;
      this.#sendError(new LakeSyncError("PAYLOAD_TOO_LARGE", message));
      return this.#close(WsClose.tooLarge, "The message is too large");
    }
    if (this.#queue.length >= socketMessages || this.#queuedBytes + bytes > 2 * bodyBytes) {
      const message = "Too many messages wait for their turn: wait for answers before sending more";
      this.#sendError(new LakeSyncError("BACKPRESSURE", message));
      return this.#close(WsClose.tooMany, "Too many messages at once");
    }
    const admitted = this.#options.requests.bodies.begin(this.#options.gateway.id);
    const refused = admitted.take(bytes + weighJson(frame).bytes);
    if (refused !== undefined) {
      const decoded = decodeMessage(frame);
      return this.#sendError(refused, decoded.ok ? decoded.value.id : undefined);
    }
    this.#queue.push({ frame, admitted });
    this.#queuedBytes += bytes;
    if (!this.#working) void this.#work();
  }

  /** Bytes have gone out. A hint: it need not be given. */
  drained(): void {
    this.#outlet.drained();
  }

  /** The connection has ended. */
  closed(): void {
    this.#end();
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onEnd();
  }

  /** Takes no more messages, answers the one under way, and closes. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#dropQueue();
    await this.#handling;
    this.#close(WsClose.goingAway, "The gateway is shutting down");
  }

  /** One message after the other, in the order in which they came. */
  async #work(): Promise<void> {
    this.#working = true;
    for (let next; (next = this.#queue.shift()) !== undefined;) {
      const { frame, admitted } = next;
      this.#queuedBytes -= Buffer.byteLength(frame);
      try {
        // Answers that nobody reads must not gather.
        await this.#outlet.room();
        if (this.#ended.signal.aborted || this.#draining) break;
        await (this.#handling = this.#handle(frame));
      } finally {
        admitted.end();
      }
    }
    this.#working = false;
  }

  async #handle(frame: WsFrame): Promise<void> {
    const decoded = decodeMessage(frame);
    if (!decoded.ok) {
      this.#sendError(decoded.error);
      if (++this.#garbage < MAX_GARBAGE) return;
      return this.#close(WsClose.notMessages, "Too many frames were no messages");
    }
    this.#garbage = 0;
    this.#form = formOfFrame(frame);
    const request = decoded.value;
    let done: Result<unknown>;
    try {
      const turn = await this.#takeTurn(request);
      done = turn.ok ? await this.#run(request) : turn;
    } catch (thrown) {
      done = { ok: false, error: toLakeSyncError(thrown, "INTERNAL") };
    }
    if (!done.ok) this.#sendError(done.error, request.id);
  }

  /** The same turns as those of requests over HTTP. */
  async #takeTurn({ type, fields }: WsRequest): Promise<Result<void>> {
    if (type === "ping") return { ok: true, value: undefined };
    const { gateway, caller, requests } = this.#options;
    const { clientId } = fields as { readonly clientId?: unknown };
    return await requests.takeTurn(gateway.id, caller.sub ?? String(clientId ?? ""));
  }

  async #run({ type, id, fields }: WsRequest): Promise<Result<unknown>> {
    const { gateway, caller } = this.#options;
    switch (type) {
      case "push": {
        const answer = await gateway.push(fields, caller);
        if (!answer.ok) return answer;
        this.#options.onPush(answer.value);
        this.#send({ type: "answer", ...withId(id), ...answer.value });
        return answer;
      }
      case "pull": {
        const query = queryOfPull(fields);
        if (!query.ok) return query;
        await this.#stream?.stop();
        this.#stream = undefined;
        const reader = await gateway.follow(query.value, { caller });
        if (!reader.ok || this.#ended.signal.aborted) return reader;
        const news = new SchemaNews(gateway, query.value, caller);
        this.#stream = new WsStream(pagesWithNews(reader.value, news), {
          outlet: this.#outlet,
          encode: (page) => encodePage(page, id, this.#form),
          onError: (error) => this.#sendError(error, id),
        });
        return reader;
      }
      case "ping":
        this.#send({ type: "ping", ...withId(id) });
        return { ok: true, value: undefined };
    }
  }

  #send(message: Parameters<typeof encodeMessage>[0]): void {
    this.#outlet.send(encodeMessage(message, this.#form));
  }

  #sendError(error: LakeSyncError, id?: WsId): void {
    const { requestId, logger } = this.#options;
    const body = errorBody(error, requestId);
    this.#send({ type: "error", ...withId(id), ...body });
    if (body.error.code !== "INTERNAL") return;
    const { code, message, cause } = error;
    const stack = cause instanceof Error ? cause.stack : undefined;
    logger.log("error", "message.failed", { requestId, code, message, cause: stack });
  }

  #close(code: number, reason: string): void {
    if (this.#ended.signal.aborted) return;
    this.#socket.close(code, reason);
    this.#end();
  }

  /** From now on nothing more is said or listened to. What waits is the socket's until it is closed. */
  #end(): void {
    this.#ended.abort();
    this.#dropQueue();
    void this.#stream?.stop();
  }

  #dropQueue(): void {
    for (const { admitted } of this.#queue.splice(0)) admitted.end();
  }
}
