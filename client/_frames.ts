import {
  decodeGatewayFrame,
  encodeClientFrame,
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

/** How messages are written. */
export type FrameForm = "json" | "protobuf";

/** A message as it is sent. */
export function encodeFrame(
  message: WsClientMessage,
  form: FrameForm,
): string | Uint8Array<ArrayBuffer> {
  return form === "json" ? JSON.stringify(message) : encodeClientFrame(message);
}

/** A message that came, in either form; an error where it is none. Never throws. */
export function decodeFrame(data: string | Uint8Array): Result<WsGatewayMessage> {
  if (typeof data !== "string") {
    const decoded = decodeGatewayFrame(data);
    return decoded.ok ? checkMessage(decoded.value) : decoded;
  }
  try {
    return checkMessage(JSON.parse(data));
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "VALIDATION_ERROR"));
  }
}

function checkMessage(value: unknown): Result<WsGatewayMessage> {
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
      return page.ok ? ok(message as WsGatewayMessage) : page;
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

function malformed(): Result<never> {
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
