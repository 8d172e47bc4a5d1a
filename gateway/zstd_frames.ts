/** The largest window that a coding `zstd` may have over HTTP (RFC 9659). */
const MAX_WINDOW = 8 * 2 ** 20;

/** The most frames of a body. Encoders write one, or one and an empty one. */
const MAX_FRAMES = 64;

const MAGIC = 0xfd2fb528;

/**
 * Cuts bytes into the zstd frames that they are made of. The runtimes' decoders do not: they pass a
 * frame that breaks off as a shorter one, leave out what comes after the first, and make room for
 * whatever window its head asks for.
 *
 * @param bytes Anything.
 * @returns The frames; undefined where the bytes are no whole ones, or ask for more than HTTP allows.
 * @see {@link https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1 | RFC 8878, Zstandard Frames}
 */
export function zstdFrames(bytes: Uint8Array): Uint8Array[] | undefined {
  const frames: Uint8Array[] = [];
  for (let start = 0; start < bytes.length || frames.length === 0;) {
    const end = endOfFrame(bytes, start);
    if (end === undefined || frames.length === MAX_FRAMES) return undefined;
    frames.push(bytes.subarray(start, end));
    start = end;
  }
  return frames;
}

function endOfFrame(bytes: Uint8Array, start: number): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (start + 6 > bytes.length || view.getUint32(start, true) !== MAGIC) return undefined;
  const descriptor = bytes[start + 4]!;
  const singleSegment = (descriptor & 0x20) !== 0;
  const checksumBytes = (descriptor & 0x04) !== 0 ? 4 : 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 0x03]!;
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const sizeAt = start + 5 + (singleSegment ? 0 : 1) + dictionaryBytes;
  let at = sizeAt + sizeBytes;
  if (at > bytes.length) return undefined;
  // A single segment has its whole content as its window.
  const window = singleSegment
    ? contentSize(view, { at: sizeAt, bytes: sizeBytes })
    : windowSize(bytes[start + 5]!);
  if (window > MAX_WINDOW) return undefined;
  for (;;) {
    if (at + 3 > bytes.length) return undefined;
    const header = bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16;
    const isRunLength = ((header >> 1) & 0x03) === 1;
    at += 3 + (isRunLength ? 1 : header >> 3);
    if ((header & 1) === 0) continue;
    at += checksumBytes;
    return at <= bytes.length ? at : undefined;
  }
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + base / 8 * (descriptor & 0x07);
}

function contentSize(view: DataView, field: { at: number; bytes: number }): number {
  const { at, bytes } = field;
  if (bytes === 1) return view.getUint8(at);
  if (bytes === 2) return view.getUint16(at, true) + 256;
  return bytes === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
}
