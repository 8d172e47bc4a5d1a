import { Buffer } from "node:buffer";
import * as zlib from "node:zlib";
import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import { zstdFrames } from "./zstd_frames.ts";

/** A content coding that this gateway packs and unpacks. */
export type Coding = "zstd" | "gzip";

/** The codings that this runtime has, the better one first. Older versions of Deno lack zstd. */
export const CODINGS: readonly Coding[] = typeof zlib.zstdCompressSync === "function"
  ? ["zstd", "gzip"]
  : ["gzip"];

/**
 * Chooses the coding of an answer.
 *
 * @param accepted The request's `Accept-Encoding`.
 * @param among The codings to choose from, the better ones first.
 * @returns The one that the caller likes best; undefined where it takes none of them.
 */
export function chooseCoding(
  accepted: string | null,
  among: readonly Coding[] = CODINGS,
): Coding | undefined {
  const weights = new Map<string, number>();
  for (const item of (accepted ?? "").split(",")) {
    const [name, ...params] = item.split(";").map((part) => part.trim().toLowerCase());
    const weight = params.find((param) => param.startsWith("q="))?.slice(2) ?? "1";
    weights.set(name!, Number(weight));
  }
  const weightOf = (coding: Coding) => weights.get(coding) ?? 0;
  return among.filter((coding) => weightOf(coding) > 0)
    .toSorted((a, b) => weightOf(b) - weightOf(a))[0];
}

/**
 * Packs an answer.
 *
 * @param body The answer.
 * @param coding How.
 * @returns The packed bytes.
 */
export function pack(body: string | Uint8Array, coding: Coding): Uint8Array<ArrayBuffer> {
  const packed = coding === "zstd"
    ? zlib.zstdCompressSync(body, ZSTD_FAST)
    // A page hardly grows at this level, and packing it takes two thirds of the time.
    : zlib.gzipSync(body, { level: 3 });
  return new Uint8Array(packed.buffer as ArrayBuffer, packed.byteOffset, packed.byteLength);
}

/** On pages, higher levels gain nothing. */
const ZSTD_FAST: zlib.ZstdOptions = {
  params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 },
};

/**
 * Unpacks a request's body. It stops as soon as more comes out than is allowed.
 *
 * @param bytes The whole packed body.
 * @param coding How it is packed.
 * @param maxBytes The most bytes that may come out.
 * @returns The bytes; `PAYLOAD_TOO_LARGE` where there are more, `VALIDATION_ERROR` where they are not
 * packed so.
 */
export function unpack(bytes: Uint8Array, coding: Coding, maxBytes: number): Result<Uint8Array> {
  try {
    const unpacked = coding === "zstd"
      ? unpackZstd(bytes, maxBytes)
      : zlib.gunzipSync(bytes, { maxOutputLength: maxBytes });
    return unpacked === undefined ? malformed(coding) : ok(unpacked);
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== "ERR_BUFFER_TOO_LARGE") {
      return malformed(coding, cause);
    }
    const message = `The body is larger than ${maxBytes} bytes once unpacked: send it in parts`;
    return err(new LakeSyncError("PAYLOAD_TOO_LARGE", message));
  }
}

function unpackZstd(bytes: Uint8Array, maxBytes: number): Uint8Array | undefined {
  const frames = zstdFrames(bytes);
  let left = maxBytes;
  const parts = frames?.map((frame) => {
    // None but an empty frame has room in nothing; a limit of 0 would be none.
    const part = zlib.zstdDecompressSync(frame, { maxOutputLength: Math.max(left, 1) });
    left -= part.length;
    return part;
  });
  return parts?.length === 1 ? parts[0] : parts && Buffer.concat(parts);
}

function malformed(coding: Coding, cause?: unknown): Result<never> {
  const message = `The body cannot be unpacked: it is not whole ${coding}`;
  return err(new LakeSyncError("VALIDATION_ERROR", message, { cause }));
}
