import {
  decodeJsonBody,
  err,
  LakeSyncError,
  ok,
  PROTOBUF_TYPE,
  type Result,
  type Scheduler,
} from "@lakesync/core";
import type { Admitted } from "./admission.ts";
import { type Coding, CODINGS, unpack } from "./http_coding.ts";
import { MAX_OBJECTS, weighJson } from "./json_weight.ts";
import { withTimeLimit } from "./time_limit.ts";

/** Bodies of requests: measured as they are read, and again as they are unpacked. */

/** Options of {@linkcode readBody}. */
export interface ReadBodyOptions {
  /** The most bytes, packed and unpacked. */
  readonly limit: number;
  /** Ends the reading with its reason. */
  readonly signal: AbortSignal;
  /** How long the body may take to come, in ms. */
  readonly ms: number;
  /** Measures that. */
  readonly scheduler: Scheduler;
  /** What its bytes are taken from, before they are read. */
  readonly admitted: Admitted;
  /**
   * Reads the body where it is protobuf.
   *
   * @default {decodeJsonBody}
   */
  readonly decode?: (bytes: Uint8Array) => Result<unknown>;
}

/**
 * Reads a body: protobuf where its `Content-Type` says so, else JSON.
 *
 * @param request The request; what is packed is unpacked.
 * @param options How much is taken.
 * @returns Its JSON; `PAYLOAD_TOO_LARGE` as soon as the limit is passed, `VALIDATION_ERROR` where it
 * cannot be decoded.
 */
export async function readBody(
  request: Request,
  options: ReadBodyOptions,
): Promise<Result<unknown>> {
  const { limit, decode = decodeJsonBody } = options;
  const coding = codingOf(request);
  if (!coding.ok) return coding;
  const { ms, scheduler, admitted } = options;
  const read = await withTimeLimit((over) => readBytes(request, options, over), {
    ms,
    scheduler,
    message: `The body did not come whole within ${ms} ms: send it faster, or in parts`,
  });
  if (!read.ok) return read;
  const bytes = coding.value === undefined ? read : unpack(read.value, coding.value, limit);
  if (!bytes.ok) return bytes;
  const unpacked = Math.max(0, bytes.value.length - read.value.length);
  const weight = weighJson(bytes.value);
  if (weight.objects > MAX_OBJECTS) {
    return invalid(`The body has more than ${MAX_OBJECTS} objects and lists: send it in parts`);
  }
  const refused = admitted.take(unpacked + weight.bytes);
  if (refused !== undefined) return err(refused);
  return isProtobuf(request) ? decode(bytes.value) : parseJson(bytes.value);
}

/**
 * Tells whether a request's body is protobuf.
 *
 * @param request The request.
 * @returns Whether its `Content-Type` says so.
 */
export function isProtobuf(request: Request): boolean {
  const [type] = (request.headers.get("content-type") ?? "").split(";", 1);
  return type!.trim().toLowerCase() === PROTOBUF_TYPE;
}

/** How a body is packed; undefined where it is not. */
function codingOf(request: Request): Result<Coding | undefined> {
  const name = (request.headers.get("content-encoding") ?? "identity").trim().toLowerCase();
  if (name === "identity") return ok(undefined);
  const coding = CODINGS.find((coding) => coding === name);
  if (coding !== undefined) return ok(coding);
  const known = CODINGS.join(", ");
  return invalid(`Content-Encoding "${name.slice(0, 32)}" is not known: send ${known} or none`);
}

async function readBytes(
  request: Request,
  { limit, signal, admitted }: ReadBodyOptions,
  over: AbortSignal,
): Promise<Result<Uint8Array>> {
  const declared = Math.max(0, Number(request.headers.get("content-length")) || 0);
  if (declared > limit) return tooLarge(limit);
  if (request.body === null) return ok(new Uint8Array());
  const refused = admitted.take(declared);
  if (refused !== undefined) return err(refused);
  const measure = measured(limit, { admitted, taken: declared });
  let whole = new Uint8Array(declared);
  let length = 0;
  try {
    const ends = AbortSignal.any([signal, over]);
    for await (const part of request.body.pipeThrough(measure, { signal: ends })) {
      if (length + part.length > whole.length) whole = grown(whole, length + part.length);
      whole.set(part, length);
      length += part.length;
    }
  } catch (cause) {
    if (cause instanceof LakeSyncError) return err(cause);
    if (!request.signal.aborted) return invalid("The body cannot be read: it is incomplete", cause);
    return err(new LakeSyncError("ABORTED", "The request broke off", { cause }));
  }
  return ok(whole.subarray(0, length));
}

/** The same bytes with room for so many, and some more. */
function grown(bytes: Uint8Array<ArrayBuffer>, least: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(least, 2 * bytes.length));
  larger.set(bytes);
  return larger;
}

function parseJson(bytes: Uint8Array): Result<unknown> {
  if (bytes.length === 0) return invalid("The body is empty: send a JSON object");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    return invalid("The body is not UTF-8", cause);
  }
  try {
    return ok(JSON.parse(text));
  } catch (cause) {
    return invalid("The body is not JSON", cause);
  }
}

/** Passes bytes on; breaks off behind the limit, and where there is no room for more than was taken. */
function measured(
  limit: number,
  room: { admitted: Admitted; taken: number },
): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  let { taken } = room;
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes > limit) throw sizeError(limit);
      if (bytes > taken) {
        const refused = room.admitted.take(bytes - taken);
        if (refused !== undefined) throw refused;
        taken = bytes;
      }
      controller.enqueue(chunk);
    },
  });
}

function sizeError(limit: number): LakeSyncError {
  return new LakeSyncError(
    "PAYLOAD_TOO_LARGE",
    `The body is larger than ${limit} bytes: send it in parts`,
  );
}

function tooLarge(limit: number): Result<never> {
  return err(sizeError(limit));
}

function invalid(message: string, cause?: unknown): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message, { cause }));
}
