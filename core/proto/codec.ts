/**
 * The bodies of requests and answers as protobuf (`sync.proto`), each way. What comes out of a decoder
 * is the JSON that the same body has: nobody behind it needs to know in which form it came.
 */
import { toBinary } from "@bufbuild/protobuf";
import { type ErrorCode, isRequestErrorCode, type RejectionCode } from "../errors.ts";
import type { JsonValue } from "../json.ts";
import type { Result } from "../result.ts";
import { parseTableSchemas } from "../schema.ts";
import type {
  ErrorBody,
  LearnedSchema,
  PullAnswer,
  PushAnswer,
  PushRequest,
  Rejection,
} from "../wire.ts";
import { decoding, Malformed } from "./_decoding.ts";
import { deltaFromProto, deltaToProto } from "./_delta.ts";
import { itemFromProto, itemToProto } from "./_page_item.ts";
import { seqFromProto, seqToProto } from "./_seq.ts";
import {
  type Error as ProtoError,
  ErrorSchema,
  JsonSchema,
  type LearnedSchema as ProtoLearnedSchema,
  type PullAnswer as ProtoPullAnswer,
  PullAnswerSchema,
  type PushAnswer as ProtoPushAnswer,
  PushAnswerSchema,
  type PushRequest as ProtoPushRequest,
  PushRequestSchema,
} from "./sync_pb.ts";

/** The media type of all of these bodies. */
export const PROTOBUF_TYPE = "application/x-protobuf";

/**
 * Encodes the body of a push.
 *
 * @param request The push; its deltas are well-formed.
 * @returns A `PushRequest`.
 *
 * @example There and back
 * ```ts
 * import { decodePushRequest, encodePushRequest, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = encodePushRequest({ clientId: "alice", deltas: [], schemaVersion: 1 });
 * assertEquals(unwrapOrThrow(decodePushRequest(bytes)), {
 *   clientId: "alice",
 *   deltas: [],
 *   schemaVersion: 1,
 * });
 * ```
 */
export function encodePushRequest(request: PushRequest): Uint8Array<ArrayBuffer> {
  return toBinary(PushRequestSchema, pushToProto(request));
}

/**
 * Decodes the body of a push.
 *
 * @param bytes A `PushRequest`.
 * @returns Its JSON, unchecked as JSON from outside is: a malformed delta is found where all of them
 * are checked. `VALIDATION_ERROR` where the bytes are none.
 *
 * @example Bytes that are no push
 * ```ts
 * import { decodePushRequest } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(!decodePushRequest(new Uint8Array([255])).ok);
 * ```
 */
export function decodePushRequest(bytes: Uint8Array): Result<unknown> {
  return decoding(PushRequestSchema, bytes, pushFromProto);
}

/**
 * Encodes the answer to a push.
 *
 * @param answer The answer.
 * @returns A `PushAnswer`.
 *
 * @example There and back
 * ```ts
 * import { decodePushAnswer, encodePushAnswer, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const answer = { accepted: 1, duplicates: 0, rejected: [], seq: 1, serverHlc: "65536" };
 * assertEquals(unwrapOrThrow(decodePushAnswer(encodePushAnswer(answer))), answer);
 * ```
 */
export function encodePushAnswer(answer: PushAnswer): Uint8Array<ArrayBuffer> {
  return toBinary(PushAnswerSchema, pushAnswerToProto(answer));
}

/**
 * Decodes the answer to a push.
 *
 * @param bytes A `PushAnswer`.
 * @returns The answer; `VALIDATION_ERROR` where the bytes are none.
 *
 * @example Bytes that are no answer
 * ```ts
 * import { decodePushAnswer } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(!decodePushAnswer(new Uint8Array([255])).ok);
 * ```
 */
export function decodePushAnswer(bytes: Uint8Array): Result<PushAnswer> {
  return decoding(PushAnswerSchema, bytes, pushAnswerFromProto);
}

/**
 * Encodes the answer to a pull.
 *
 * @param answer The page.
 * @returns A `PullAnswer`.
 *
 * @example There and back
 * ```ts
 * import { decodePullAnswer, encodePullAnswer, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const page = { deltas: [], cursor: "c", seq: 0, hasMore: false, serverHlc: "65536" };
 * assertEquals(unwrapOrThrow(decodePullAnswer(encodePullAnswer(page))), page);
 * ```
 */
export function encodePullAnswer(answer: PullAnswer): Uint8Array<ArrayBuffer> {
  return toBinary(PullAnswerSchema, pullAnswerToProto(answer));
}

/**
 * Decodes the answer to a pull.
 *
 * @param bytes A `PullAnswer`.
 * @returns The page; `VALIDATION_ERROR` where the bytes are none.
 *
 * @example Bytes that are no page
 * ```ts
 * import { decodePullAnswer } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(!decodePullAnswer(new Uint8Array([255])).ok);
 * ```
 */
export function decodePullAnswer(bytes: Uint8Array): Result<PullAnswer> {
  return decoding(PullAnswerSchema, bytes, pullAnswerFromProto);
}

/**
 * Encodes the body of an error answer.
 *
 * @param body The body.
 * @returns An `Error`.
 *
 * @example There and back
 * ```ts
 * import { decodeErrorBody, encodeErrorBody, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const body = { error: { code: "CONFLICT", message: "No", requestId: "r" } } as const;
 * assertEquals(unwrapOrThrow(decodeErrorBody(encodeErrorBody(body))), body);
 * ```
 */
export function encodeErrorBody(body: ErrorBody): Uint8Array<ArrayBuffer> {
  return toBinary(ErrorSchema, errorToProto(body));
}

/**
 * Decodes the body of an error answer.
 *
 * @param bytes An `Error`.
 * @returns The body (a code that this version does not know is `INTERNAL`); `VALIDATION_ERROR` where
 * the bytes are none.
 *
 * @example Bytes that are no error
 * ```ts
 * import { decodeErrorBody } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(!decodeErrorBody(new Uint8Array([255])).ok);
 * ```
 */
export function decodeErrorBody(bytes: Uint8Array): Result<ErrorBody> {
  return decoding(ErrorSchema, bytes, errorFromProto);
}

/**
 * Encodes a body that has no message of its own.
 *
 * @param text Its JSON text.
 * @returns A `Json`.
 *
 * @example There and back
 * ```ts
 * import { decodeJsonBody, encodeJsonBody, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(unwrapOrThrow(decodeJsonBody(encodeJsonBody('{"tables":[]}'))), { tables: [] });
 * ```
 */
export function encodeJsonBody(text: string): Uint8Array<ArrayBuffer> {
  return toBinary(JsonSchema, { $typeName: "lakesync.v1.Json", text });
}

/**
 * Decodes a body that has no message of its own.
 *
 * @param bytes A `Json`.
 * @returns What its text says; `VALIDATION_ERROR` where the bytes are none.
 *
 * @example Bytes that are no JSON
 * ```ts
 * import { decodeJsonBody } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(!decodeJsonBody(new Uint8Array([255])).ok);
 * ```
 */
export function decodeJsonBody(bytes: Uint8Array): Result<unknown> {
  return decoding(JsonSchema, bytes, ({ text }) => parseJson(text));
}

/** The protobuf of a push. For frames. */
export function pushToProto(request: PushRequest): ProtoPushRequest {
  const { clientId, deltas, schemaVersion } = request;
  return {
    $typeName: "lakesync.v1.PushRequest",
    clientId,
    deltas: deltas.map(deltaToProto),
    ...(schemaVersion !== undefined && { schemaVersion: BigInt(schemaVersion) }),
  };
}

/** The JSON of a push's protobuf. For frames. */
export function pushFromProto(message: ProtoPushRequest): { readonly [key: string]: unknown } {
  const { clientId, deltas, schemaVersion } = message;
  return {
    clientId,
    deltas: deltas.map(deltaFromProto),
    ...(schemaVersion !== undefined && { schemaVersion: Number(schemaVersion) }),
  };
}

/** The protobuf of a push's answer. For frames. */
export function pushAnswerToProto(answer: PushAnswer): ProtoPushAnswer {
  const { accepted, duplicates, rejected, seq, serverHlc } = answer;
  return {
    $typeName: "lakesync.v1.PushAnswer",
    accepted,
    duplicates,
    rejected: rejected.map((rejection) => ({ $typeName: "lakesync.v1.Rejection", ...rejection })),
    seq: seqToProto(seq),
    serverHlc,
  };
}

/** The JSON of a push's answer. For frames. */
export function pushAnswerFromProto(message: ProtoPushAnswer): PushAnswer {
  const { accepted, duplicates, rejected, seq, serverHlc } = message;
  return {
    accepted,
    duplicates,
    rejected: rejected.map(({ index, deltaId, code, message }): Rejection => ({
      index,
      deltaId,
      code: code as RejectionCode,
      message,
    })),
    seq: seqFromProto(seq),
    serverHlc: stamp(serverHlc),
  };
}

/** The protobuf of a page. For frames. */
export function pullAnswerToProto(answer: PullAnswer): ProtoPullAnswer {
  const { deltas, cursor, seq, hasMore, serverHlc, schema, head } = answer;
  return {
    $typeName: "lakesync.v1.PullAnswer",
    deltas: deltas.map(itemToProto),
    cursor,
    seq: seqToProto(seq),
    hasMore,
    serverHlc,
    ...(schema !== undefined && {
      schema: {
        $typeName: "lakesync.v1.LearnedSchema",
        tag: schema.tag,
        tables: JSON.stringify(schema.tables),
      },
    }),
    ...(head !== undefined && { head: seqToProto(head) }),
  };
}

/** The JSON of a page. For frames. */
export function pullAnswerFromProto(message: ProtoPullAnswer): PullAnswer {
  const { deltas, cursor, seq, hasMore, serverHlc, schema, head } = message;
  return {
    deltas: deltas.map(itemFromProto),
    cursor,
    seq: seqFromProto(seq),
    hasMore,
    serverHlc: stamp(serverHlc),
    ...(schema !== undefined && schemaFromProto(schema)),
    ...(head !== undefined && { head: seqFromProto(head) }),
  };
}

/** What a later version says in another way is not learned. */
function schemaFromProto({ tag, tables }: ProtoLearnedSchema): { schema?: LearnedSchema } {
  const parsed = parseTableSchemas(parseJson(tables), "schema");
  return parsed.ok ? { schema: { tag, tables: parsed.value } } : {};
}

/** The protobuf of an error. For frames. */
export function errorToProto({ error }: ErrorBody): ProtoError {
  const { code, message, requestId, details } = error;
  return {
    $typeName: "lakesync.v1.Error",
    code,
    message,
    requestId,
    details: details === undefined ? "" : JSON.stringify(details),
  };
}

/** The JSON of an error. For frames. */
export function errorFromProto(error: ProtoError): ErrorBody {
  const { message, requestId } = error;
  const code: ErrorCode = isRequestErrorCode(error.code) ? error.code : "INTERNAL";
  if (error.details === "") return { error: { code, message, requestId } };
  const details = parseJson(error.details);
  if (typeof details !== "object" || details === null || Array.isArray(details)) {
    throw new Malformed("its details are no object");
  }
  return {
    error: { code, message, requestId, details: details as { readonly [key: string]: JsonValue } },
  };
}

function stamp(hlc: string): string {
  if (hlc === "0") throw new Malformed("it has no stamp");
  return hlc;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Malformed("the JSON in it is not JSON", { cause });
  }
}
