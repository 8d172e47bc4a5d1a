/** The binary frames of the WebSocket: the messages of `ws_messages.ts` as protobuf. */
import { toBinary } from "@bufbuild/protobuf";
import type { Result } from "../result.ts";
import type { WsClientMessage, WsGatewayMessage, WsId } from "../ws_messages.ts";
import { decoding, Malformed } from "./_decoding.ts";
import {
  errorFromProto,
  errorToProto,
  pullAnswerFromProto,
  pullAnswerToProto,
  pushAnswerFromProto,
  pushAnswerToProto,
  pushFromProto,
  pushToProto,
} from "./codec.ts";
import { type Frame, FrameSchema, type PullRequest } from "./sync_pb.ts";

/**
 * Encodes what a client sends.
 *
 * @param message The message; a number as its `id` becomes a string.
 * @returns A `Frame`.
 *
 * @example There and back
 * ```ts
 * import { decodeClientFrame, encodeClientFrame, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const frame = encodeClientFrame({ type: "pull", id: "1", clientId: "alice", cursor: "" });
 * assertEquals(unwrapOrThrow(decodeClientFrame(frame)), {
 *   type: "pull",
 *   id: "1",
 *   clientId: "alice",
 *   cursor: "",
 * });
 * ```
 */
export function encodeClientFrame(message: WsClientMessage): Uint8Array<ArrayBuffer> {
  return encode(message.id, clientCase(message));
}

function clientCase(message: WsClientMessage): Frame["message"] {
  switch (message.type) {
    case "push":
      return { case: "push", value: pushToProto(message) };
    case "pull": {
      const { clientId, cursor = "", limit, tables = [], own, schemaVersion, schema, tell } =
        message;
      const value: PullRequest = {
        $typeName: "lakesync.v1.PullRequest",
        clientId,
        cursor,
        tables: [...tables],
        ownIds: own === "ids",
        tellHead: tell === "head",
        ...(limit !== undefined && { limit }),
        ...(schemaVersion !== undefined && { schemaVersion: BigInt(schemaVersion) }),
        ...(schema !== undefined && { schema }),
      };
      return { case: "pull", value };
    }
    case "ping":
      return { case: "ping", value: { $typeName: "lakesync.v1.Ping" } };
  }
}

/**
 * Decodes what a client sent.
 *
 * @param bytes A `Frame`.
 * @returns Its JSON, unchecked as that of a text frame is; `VALIDATION_ERROR` where the bytes are none
 * or carry nothing that a client sends.
 *
 * @example Bytes that are no frame
 * ```ts
 * import { decodeClientFrame } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(!decodeClientFrame(new Uint8Array([255])).ok);
 * ```
 */
export function decodeClientFrame(
  bytes: Uint8Array,
): Result<{ readonly [key: string]: unknown }> {
  return decoding(FrameSchema, bytes, (frame) => {
    const { message } = frame;
    switch (message.case) {
      case "push":
        return { type: "push", ...idOf(frame), ...pushFromProto(message.value) };
      case "pull": {
        const { clientId, cursor, limit, tables, ownIds, schemaVersion, schema, tellHead } =
          message.value;
        return {
          type: "pull",
          ...idOf(frame),
          clientId,
          cursor,
          ...(limit !== undefined && { limit }),
          ...(tables.length > 0 && { tables }),
          ...(ownIds && { own: "ids" }),
          ...(schemaVersion !== undefined && { schemaVersion: Number(schemaVersion) }),
          ...(schema !== undefined && { schema }),
          ...(tellHead && { tell: "head" }),
        };
      }
      case "ping":
        return { type: "ping", ...idOf(frame) };
      default:
        throw new Malformed("a client sends push, pull and ping");
    }
  });
}

/**
 * Encodes what a gateway sends.
 *
 * @param message The message.
 * @returns A `Frame`.
 *
 * @example There and back
 * ```ts
 * import { decodeGatewayFrame, encodeGatewayFrame, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const frame = encodeGatewayFrame({ type: "ping", id: "1" });
 * assertEquals(unwrapOrThrow(decodeGatewayFrame(frame)), { type: "ping", id: "1" });
 * ```
 */
export function encodeGatewayFrame(message: WsGatewayMessage): Uint8Array<ArrayBuffer> {
  return encode(message.id, gatewayCase(message));
}

function gatewayCase(message: WsGatewayMessage): Frame["message"] {
  switch (message.type) {
    case "answer":
      return { case: "answer", value: pushAnswerToProto(message) };
    case "page":
      return { case: "page", value: pullAnswerToProto(message) };
    case "error":
      return { case: "error", value: errorToProto(message) };
    case "ping":
      return { case: "ping", value: { $typeName: "lakesync.v1.Ping" } };
  }
}

/**
 * Decodes what a gateway sent.
 *
 * @param bytes A `Frame`.
 * @returns The message; `VALIDATION_ERROR` where the bytes are none or carry nothing that a gateway
 * sends.
 *
 * @example Bytes that are no frame
 * ```ts
 * import { decodeGatewayFrame } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(!decodeGatewayFrame(new Uint8Array([255])).ok);
 * ```
 */
export function decodeGatewayFrame(bytes: Uint8Array): Result<WsGatewayMessage> {
  return decoding(FrameSchema, bytes, (frame): WsGatewayMessage => {
    const { message } = frame;
    switch (message.case) {
      case "answer":
        return { type: "answer", ...idOf(frame), ...pushAnswerFromProto(message.value) };
      case "page":
        return { type: "page", ...idOf(frame), ...pullAnswerFromProto(message.value) };
      case "error":
        return { type: "error", ...idOf(frame), ...errorFromProto(message.value) };
      case "ping":
        return { type: "ping", ...idOf(frame) };
      default:
        throw new Malformed("a gateway sends answer, page, error and ping");
    }
  });
}

function encode(id: WsId | undefined, message: Frame["message"]): Uint8Array<ArrayBuffer> {
  return toBinary(FrameSchema, {
    $typeName: "lakesync.v1.Frame",
    message,
    ...(id !== undefined && { id: String(id) }),
  });
}

function idOf({ id }: Frame): { id?: string } {
  return id === undefined ? {} : { id };
}
