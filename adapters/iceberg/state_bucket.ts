/**
 * Iceberg's bucket transform of texts.
 *
 * @see {@link https://iceberg.apache.org/spec/#appendix-b-32-bit-hash-requirements | Iceberg, 32-bit hash requirements}
 */

const utf8 = new TextEncoder();

/** The bucket, from 0 on, that a text belongs to of so many. */
export function bucketOf(text: string, buckets: number): number {
  return (murmur3(utf8Of(text)) & 0x7fff_ffff) % buckets;
}

const scratch = new Uint8Array(64);

/** A text's UTF-8, valid until the next call: to call an encoder for each short id takes longer. */
function utf8Of(text: string): Uint8Array {
  if (text.length > scratch.length) return utf8.encode(text);
  for (let i = 0; i < text.length; i++) {
    const letter = text.charCodeAt(i);
    if (letter > 127) return utf8.encode(text);
    scratch[i] = letter;
  }
  return scratch.subarray(0, text.length);
}

/** The 32-bit Murmur3 hash (x86 variant) with seed 0, as a signed number. */
export function murmur3(bytes: Uint8Array): number {
  const whole = bytes.length & ~3;
  let hash = 0;
  for (let i = 0; i < whole; i += 4) {
    const block = bytes[i]! | bytes[i + 1]! << 8 | bytes[i + 2]! << 16 | bytes[i + 3]! << 24;
    hash ^= scramble(block);
    hash = Math.imul(hash << 13 | hash >>> 19, 5) + 0xe654_6b64 | 0;
  }
  let tail = 0;
  for (let i = bytes.length - 1; i >= whole; i--) tail = tail << 8 | bytes[i]!;
  if (bytes.length > whole) hash ^= scramble(tail);
  hash ^= bytes.length;
  hash = Math.imul(hash ^ hash >>> 16, 0x85eb_ca6b);
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2_ae35);
  return hash ^ hash >>> 16;
}

function scramble(block: number): number {
  const product = Math.imul(block, 0xcc9e_2d51);
  return Math.imul(product << 15 | product >>> 17, 0x1b87_3593);
}
