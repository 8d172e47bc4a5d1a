import type { ErrorBody, PullAnswer, PullRequest, PushAnswer, PushRequest } from "./wire.ts";

/**
 * The messages of the WebSocket `lakesync.v1`: as JSON text frames just as they stand here, as binary
 * frames in the `Frame` of `core/proto/sync.proto`. A gateway answers in the form of the last message
 * that it understood, in JSON before the first.
 */

/** The subprotocol that both sides name when a WebSocket is opened. */
export const WS_PROTOCOL = "lakesync.v1";

/**
 * What a client calls a message. What the gateway says about it carries the same; undefined where the
 * client gave none. A number only in JSON.
 */
export type WsId = string | number;

/** Client → gateway: deltas up. Answered by one {@linkcode WsAnswer} or {@linkcode WsError}. */
export interface WsPush extends PushRequest {
  /** Tells it from the other messages. */
  readonly type: "push";
  /** What the answer is to carry. */
  readonly id?: WsId;
}

/**
 * Client → gateway: opens the connection's stream of pages, instead of the one that is open. A first
 * {@linkcode WsPage} comes at once, also an empty one, and from then on one whenever there is
 * something, without being asked for. To go on after a break: pull with the last cursor.
 */
export interface WsPull extends Omit<PullRequest, "wait" | "cursor"> {
  /** Tells it from the other messages. */
  readonly type: "pull";
  /** What the pages are to carry. */
  readonly id?: WsId;
  /** Where the client stands. @default {""} the very beginning */
  readonly cursor?: string;
}

/** Either way: is the other side there? It answers with the same. */
export interface WsPing {
  /** Tells it from the other messages. */
  readonly type: "ping";
  /** What the answer is to carry. */
  readonly id?: WsId;
}

/** Gateway → client: what became of a push. */
export interface WsAnswer extends PushAnswer {
  /** Tells it from the other messages. */
  readonly type: "answer";
  /** That of the push. */
  readonly id?: WsId;
}

/** Gateway → client: a page of the stream. */
export interface WsPage extends PullAnswer {
  /** Tells it from the other messages. */
  readonly type: "page";
  /** That of the pull. */
  readonly id?: WsId;
}

/**
 * Gateway → client: a message failed, or the stream ended (after `CHECKPOINT_REQUIRED`, say: take a
 * checkpoint and pull with its cursor). The connection stays.
 */
export interface WsError extends ErrorBody {
  /** Tells it from the other messages. */
  readonly type: "error";
  /** That of the push or pull that failed, or whose stream ended. */
  readonly id?: WsId;
}

/** What a client sends. */
export type WsClientMessage = WsPush | WsPull | WsPing;

/** What a gateway sends. */
export type WsGatewayMessage = WsAnswer | WsPage | WsError | WsPing;
