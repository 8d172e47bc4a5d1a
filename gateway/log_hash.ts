/**
 * The running hash of a log: it tells two logs of the same length apart, so that a restored or
 * reset store is noticed. It mixes the deltas' ids, which are SHA-256 already, into 53 bits, cheaply.
 */

/** 36^5: what five base-36 digits hold. */
const HALF = 60_466_176;

/** The hash of an empty log. */
export const EMPTY_HASH = 0;

/**
 * The running hash after one more entry.
 *
 * @param hash The running hash so far: a whole number below 2^53.
 * @param deltaId The entry's deltaId.
 * @returns The running hash with it, a whole number below 2^53.
 */
export function extendHash(hash: number, deltaId: string): number {
  const high = Math.floor(hash / 2 ** 32);
  const low = hash >>> 0;
  const a = hexDigits(deltaId, 0);
  const b = hexDigits(deltaId, 8);
  // Odd multipliers are invertible, and adding before multiplying makes the order count.
  const nextLow = (Math.imul(low ^ a, 0x9e3779b1) + high) >>> 0;
  const nextHigh = ((Math.imul(high ^ b, 0x85ebca6b) >>> 0) + (nextLow >>> 11)) & 0x1fffff;
  return nextHigh * 2 ** 32 + nextLow;
}

/** Eight lower-case hex digits as an int32. Parsing a slice takes several times as long. */
function hexDigits(text: string, start: number): number {
  let bits = 0;
  for (let i = start; i < start + 8; i++) {
    const code = text.charCodeAt(i);
    bits = bits << 4 | (code < 0x3a ? code - 0x30 : code - 0x57);
  }
  return bits;
}

/**
 * A running hash as a short text, for cursors.
 *
 * @param hash The running hash.
 * @returns Its base-36 text; `"0"` for an empty log.
 */
export function hashText(hash: number): string {
  // In two halves of 32 bits each: V8 takes several times as long for the digits of a larger number.
  const high = Math.floor(hash / HALF);
  const low = hash - high * HALF;
  return high === 0 ? low.toString(36) : high.toString(36) + low.toString(36).padStart(5, "0");
}
