/**
 * Bounds of a column in a data file, in Iceberg's single-value binary form.
 *
 * @see {@link https://iceberg.apache.org/spec/#binary-single-value-serialization | Iceberg, Binary single-value serialization}
 */

const utf8 = new TextEncoder();

/** Bounds of texts have at most so many code points, those of binaries so many bytes. */
const BOUND_LENGTH = 16;

/** A long or a time: 8 bytes, little endian. */
export function longBound(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value, true);
  return bytes;
}

/** Reads a {@linkcode longBound}; undefined where it is none. */
export function readLongBound(bytes: Uint8Array): bigint | undefined {
  if (bytes.length !== 8) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0, true);
}

/** An int or a date: 4 bytes, little endian. */
export function intBound(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

/** A double: 8 bytes, little endian. */
export function doubleBound(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return bytes;
}

/** A boolean: one byte. */
export function booleanBound(value: boolean): Uint8Array {
  return Uint8Array.of(value ? 1 : 0);
}

/** A text that is not above the given one: its beginning. */
export function lowerTextBound(text: string): Uint8Array {
  return utf8.encode(shorten(text));
}

/** A text that is not below the given one, or undefined where there is no short one. */
export function upperTextBound(text: string): Uint8Array | undefined {
  const short = shorten(text);
  if (short.length === text.length) return utf8.encode(text);
  const points = Array.from(short, (letter) => letter.codePointAt(0)!);
  while (points.length > 0) {
    const last = points.pop()!;
    if (last === 0x10ffff) continue;
    // No text has a surrogate as a code point.
    points.push(last === 0xd7ff ? 0xe000 : last + 1);
    return utf8.encode(String.fromCodePoint(...points));
  }
  return undefined;
}

/** Reads a text's bound; undefined where it is none. */
export function readTextBound(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Bytes that are not above the given ones. */
export function lowerBinaryBound(bytes: Uint8Array): Uint8Array {
  return bytes.slice(0, BOUND_LENGTH);
}

/** Bytes that are not below the given ones, or undefined where there are no short ones. */
export function upperBinaryBound(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length <= BOUND_LENGTH) return bytes.slice();
  let end = BOUND_LENGTH;
  while (end > 0 && bytes[end - 1] === 0xff) end--;
  if (end === 0) return undefined;
  const bound = bytes.slice(0, end);
  bound[end - 1]!++;
  return bound;
}

/** Compares two byte strings as Iceberg does: unsigned, the shorter one first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return a.length - b.length;
}

function shorten(text: string): string {
  if (text.length <= BOUND_LENGTH) return text;
  let end = 0;
  for (let points = 0; points < BOUND_LENGTH && end < text.length; points++) {
    end += text.codePointAt(end)! > 0xffff ? 2 : 1;
  }
  return text.slice(0, end);
}
