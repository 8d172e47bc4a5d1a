import {
  err,
  isRequestErrorCode,
  LakeSyncError,
  ok,
  type Result,
  toLakeSyncError,
  type WsClientMessage,
  type WsGatewayMessage,
} from "@lakesync/core";
import { readPullAnswer, readPushAnswer } from "./_http_answer.ts";

/** Writes and reads the messages of a WebSocket. A connection is answered in the form that it speaks. */
export interface FrameCodec {
  /** A message as it is sent: text, or bytes. */
  encode(message: WsClientMessage): string | Uint8Array<ArrayBuffer>;
  /** A message that came; an error where it is none. Never throws. */
  decode(data: string | Uint8Array): Result<WsGatewayMessage>;
}

/** Messages as JSON. */
export const jsonFrames: FrameCodec = {
  encode: (message) => JSON.stringify(message),
  decode(data) {
    if (typeof data !== "string") return malformed();
    try {
      return checkMessage(JSON.parse(data));
    } catch (thrown) {
      return err(toLakeSyncError(thrown, "VALIDATION_ERROR"));
    }
  },
};

/** Holds a message to its form. */
export function checkMessage(value: unknown): Result<WsGatewayMessage> {
  const message = value as Partial<WsGatewayMessage> | null;
  const { id } = message ?? {};
  if (id !== undefined && typeof id !== "string" && typeof id !== "number") return malformed();
  switch (message?.type) {
    case "answer": {
      const answer = readPushAnswer(message);
      return answer.ok ? ok(message as WsGatewayMessage) : answer;
    }
    case "page": {
      const page = readPullAnswer(message);
      return page.ok ? ok(page.value as WsGatewayMessage) : page;
    }
    case "error":
      return typeof message.error?.code === "string"
        ? ok(message as WsGatewayMessage)
        : malformed();
    case "ping":
      return ok(message as WsGatewayMessage);
    default:
      return malformed();
  }
}

/** A frame that is none. */
export function malformed(): Result<never> {
  return err(
    new LakeSyncError("VALIDATION_ERROR", "Cannot read a frame: it is no message of a gateway"),
  );
}

/** The error that a message tells of. */
export function messageError(
  message: WsGatewayMessage & { readonly type: "error" },
): LakeSyncError {
  const { code, message: text, details } = message.error;
  return new LakeSyncError(
    isRequestErrorCode(code) ? code : "INTERNAL",
    typeof text === "string" ? text : "The gateway gave no reason: see its logs",
    typeof details === "object" && details !== null ? { details } : {},
  );
}
