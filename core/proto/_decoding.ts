import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { LakeSyncError } from "../errors.ts";
import { err, ok, type Result } from "../result.ts";
import { countMessages } from "./_count.ts";

/** The most messages within one, as many as JSON may have objects and lists. */
const MAX_MESSAGES = 1_000_000;

/** Smaller ones cannot hold so many. */
const COUNT_FROM = 2 * MAX_MESSAGES;

/** Thrown within a decoder, and caught by {@linkcode decoding}: a message that says what cannot be. */
export class Malformed extends Error {}

/**
 * Decodes bytes from outside.
 *
 * @param schema The message that they should be.
 * @param bytes The bytes.
 * @param read Makes something of the message; may throw {@linkcode Malformed}.
 * @returns What `read` made; `VALIDATION_ERROR` where the bytes are no such message,
 * `PAYLOAD_TOO_LARGE` where more is in them than is taken. Never throws.
 */
export function decoding<Desc extends DescMessage, T>(
  schema: Desc,
  bytes: Uint8Array,
  read: (message: MessageShape<Desc>) => T,
): Result<T> {
  try {
    if (bytes.length > COUNT_FROM && countMessages(schema, bytes, MAX_MESSAGES) > MAX_MESSAGES) {
      const message = `The message has more than ${MAX_MESSAGES} parts: send it in several`;
      return err(new LakeSyncError("PAYLOAD_TOO_LARGE", message));
    }
    return ok(read(fromBinary(schema, bytes, { readUnknownFields: false })));
  } catch (cause) {
    const reason = cause instanceof Malformed ? cause.message : "it is not well-formed protobuf";
    return err(
      new LakeSyncError("VALIDATION_ERROR", `Cannot decode a ${schema.name}: ${reason}`, { cause }),
    );
  }
}

/** A seq or a count as a number; throws {@linkcode Malformed} beyond the safe ones. */
export function safeNumber(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new Malformed("a number in it is too great");
  return number;
}
