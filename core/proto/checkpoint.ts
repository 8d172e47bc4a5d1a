/** The frames of a checkpoint that is streamed as protobuf: its NDJSON lines, length-delimited. */
import { sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import { LakeSyncError } from "../errors.ts";
import type { CheckpointEnd, CheckpointHeader, CheckpointRow } from "../wire.ts";
import { decoding, Malformed, safeNumber } from "./_decoding.ts";
import { rowFromProto, rowToProto } from "./_page_item.ts";
import { seqFromProto, seqToProto } from "./_seq.ts";
import { type CheckpointFrame, CheckpointFrameSchema } from "./sync_pb.ts";

/** What a line of a checkpoint says. */
export type CheckpointLine = CheckpointHeader | CheckpointRow | CheckpointEnd;

/**
 * Encodes a line of a checkpoint.
 *
 * @param line The header, a row or the end.
 * @returns A `CheckpointFrame` with its length before it.
 *
 * @example There and back
 * ```ts
 * import { decodeCheckpointFrames, encodeCheckpointFrame } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * async function* body(): AsyncGenerator<Uint8Array> {
 *   yield encodeCheckpointFrame({ end: { rows: 0 } });
 * }
 * const lines = [];
 * for await (const chunk of decodeCheckpointFrames(body())) lines.push(...chunk);
 * assertEquals(lines, [{ end: { rows: 0 } }]);
 * ```
 */
export function encodeCheckpointFrame(line: CheckpointLine): Uint8Array<ArrayBuffer> {
  return sizeDelimitedEncode(CheckpointFrameSchema, {
    $typeName: "lakesync.v1.CheckpointFrame",
    frame: caseOf(line),
  }) as Uint8Array<ArrayBuffer>;
}

function caseOf(line: CheckpointLine): CheckpointFrame["frame"] {
  if ("checkpoint" in line) {
    const { seq, cursor, tables } = line.checkpoint;
    return {
      case: "header",
      value: {
        $typeName: "lakesync.v1.CheckpointHeader",
        seq: seqToProto(seq),
        cursor,
        tables: [...tables],
      },
    };
  }
  if ("end" in line) {
    const rows = BigInt(line.end.rows);
    return { case: "end", value: { $typeName: "lakesync.v1.CheckpointEnd", rows } };
  }
  return { case: "row", value: rowToProto(line) };
}

/** Options of {@linkcode decodeCheckpointFrames}. */
export interface DecodeCheckpointOptions {
  /**
   * The most bytes of a frame: so much is kept of one that has not come whole.
   *
   * @default {67_108_864}
   */
  maxFrameBytes?: number;
}

/**
 * Decodes the frames of a checkpoint as they come.
 *
 * @param body The stream of bytes, cut anywhere.
 * @param options How large a frame may be.
 * @returns The lines, a list for each chunk of bytes that completes any. It throws a
 * `VALIDATION_ERROR` where the bytes are no frames, and where they end within one; whether the end
 * came is the reader's to check.
 *
 * @example A stream that breaks off within a frame
 * ```ts
 * import { decodeCheckpointFrames } from "@lakesync/core";
 * import { assertRejects } from "@std/assert";
 *
 * async function* body(): AsyncGenerator<Uint8Array> {
 *   yield new Uint8Array([9, 1]);
 * }
 * await assertRejects(() => decodeCheckpointFrames(body()).next());
 * ```
 */
export async function* decodeCheckpointFrames(
  body: AsyncIterable<Uint8Array>,
  options: DecodeCheckpointOptions = {},
): AsyncGenerator<CheckpointLine[], void, undefined> {
  const { maxFrameBytes = 64 * 2 ** 20 } = options;
  const parts = new Parts();
  for await (const bytes of body) {
    parts.add(bytes);
    const lines: CheckpointLine[] = [];
    for (;;) {
      const prefix = lengthPrefix(parts.start());
      if (prefix === undefined) break;
      if (prefix.length > maxFrameBytes) throw broken("a frame of it is too large");
      const whole = prefix.size + prefix.length;
      if (parts.length < whole) break;
      lines.push(readFrame(parts.take(whole).subarray(prefix.size)));
    }
    if (lines.length > 0) yield lines;
  }
  if (parts.length > 0) throw broken("it broke off");
}

function readFrame(bytes: Uint8Array): CheckpointLine {
  const line = decoding(CheckpointFrameSchema, bytes, ({ frame }): CheckpointLine => {
    switch (frame.case) {
      case "header": {
        const { seq, cursor, tables } = frame.value;
        return { checkpoint: { seq: seqFromProto(seq), cursor, tables } };
      }
      case "row":
        return rowFromProto(frame.value);
      case "end":
        return { end: { rows: safeNumber(frame.value.rows) } };
      default:
        throw new Malformed("it is of no known kind");
    }
  });
  if (!line.ok) throw line.error;
  return line.value;
}

/** The varint before a frame: how many bytes it has itself and how many follow. */
function lengthPrefix(bytes: Uint8Array): { size: number; length: number } | undefined {
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    // Four bytes say up to 256 MiB; no frame is as large.
    if (i === 4) throw broken("a frame of it is too large");
    length += (bytes[i]! & 0x7f) * 2 ** (7 * i);
    if (bytes[i]! < 0x80) return { size: i + 1, length };
  }
  return undefined;
}

/** Bytes in the parts in which they came, joined only when they are taken. */
class Parts {
  #parts: Uint8Array[] = [];
  length = 0;

  add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.length += bytes.length;
  }

  /** The first bytes: enough for a prefix, where there are as many. */
  start(): Uint8Array {
    const first = this.#parts[0];
    if (first === undefined) return new Uint8Array();
    if (first.length >= 5 || this.#parts.length === 1) return first.subarray(0, 5);
    this.#join();
    return this.#parts[0]!.subarray(0, 5);
  }

  take(length: number): Uint8Array {
    if (this.#parts[0]!.length < length) this.#join();
    const first = this.#parts[0]!;
    if (first.length === length) this.#parts.shift();
    else this.#parts[0] = first.subarray(length);
    this.length -= length;
    return first.subarray(0, length);
  }

  #join(): void {
    const joined = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.#parts) {
      joined.set(part, at);
      at += part.length;
    }
    this.#parts = [joined];
  }
}

function broken(reason: string): LakeSyncError {
  return new LakeSyncError("VALIDATION_ERROR", `Cannot read the checkpoint: ${reason}, ask again`);
}
