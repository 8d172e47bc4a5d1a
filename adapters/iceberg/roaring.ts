/**
 * Sets of positions as Iceberg stores them in deletion vectors: Roaring bitmaps in the portable form,
 * one for each 2^32 positions.
 *
 * @see {@link https://github.com/RoaringBitmap/RoaringFormatSpec | Roaring bitmaps, format}
 */

const NO_RUNS = 12_346;
const WITH_RUNS = 12_347;
/** From so many values on a container is a bitmap. */
const BITMAP_FROM = 4097;
const BITMAP_BYTES = 8192;
/** Below so many containers a form with runs has no offsets. */
const OFFSETS_FROM = 4;

/** The bytes of a set of positions, which rise and are each there once. */
export function encodePositions(positions: readonly number[]): Uint8Array {
  const maps = groupBy(positions, 2 ** 32);
  const parts = [...maps].map(([key, list]) => ({ key, bytes: encodeBitmap(list) }));
  const length = parts.reduce((sum, { bytes }) => sum + 4 + bytes.length, 8);
  const whole = new Uint8Array(length);
  const view = new DataView(whole.buffer);
  view.setBigUint64(0, BigInt(parts.length), true);
  let at = 8;
  for (const { key, bytes } of parts) {
    view.setUint32(at, key, true);
    whole.set(bytes, at + 4);
    at += 4 + bytes.length;
  }
  return whole;
}

/**
 * The positions in a set, rising.
 *
 * @throws {RangeError} Where it is damaged.
 */
export function decodePositions(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const positions: number[] = [];
  const count = Number(view.getBigUint64(0, true));
  let at = 8;
  for (let i = 0; i < count; i++) {
    const base = view.getUint32(at, true) * 2 ** 32;
    at = decodeBitmap(view, at + 4, (value) => positions.push(base + value));
  }
  return positions;
}

/** Values below 2^32. */
function encodeBitmap(values: readonly number[]): Uint8Array {
  const containers = [...groupBy(values, 2 ** 16)];
  const size = (count: number) => count < BITMAP_FROM ? 2 * count : BITMAP_BYTES;
  const head = 8 + 8 * containers.length;
  const bytes = new Uint8Array(containers.reduce((sum, [, low]) => sum + size(low.length), head));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, NO_RUNS, true);
  view.setUint32(4, containers.length, true);
  let at = head;
  for (const [i, [key, low]] of containers.entries()) {
    view.setUint16(8 + 4 * i, key, true);
    view.setUint16(10 + 4 * i, low.length - 1, true);
    view.setUint32(8 + 4 * containers.length + 4 * i, at, true);
    if (low.length < BITMAP_FROM) {
      for (const [j, value] of low.entries()) view.setUint16(at + 2 * j, value, true);
    } else {
      for (const value of low) bytes[at + (value >>> 3)]! |= 1 << (value & 7);
    }
    at += size(low.length);
  }
  return bytes;
}

/** Tells each value of a bitmap; the offset behind it. */
function decodeBitmap(view: DataView, from: number, each: (value: number) => void): number {
  const cookie = view.getUint32(from, true);
  let at = from + 4;
  let containers: number;
  let runs: (container: number) => boolean = () => false;
  if ((cookie & 0xffff) === WITH_RUNS) {
    containers = (cookie >>> 16) + 1;
    const flags = at;
    runs = (i) => (view.getUint8(flags + (i >>> 3)) >>> (i & 7) & 1) === 1;
    at += containers + 7 >>> 3;
  } else if (cookie === NO_RUNS) {
    containers = view.getUint32(at, true);
    at += 4;
  } else throw new RangeError("it is no Roaring bitmap");
  const head = at;
  at += 4 * containers;
  if (cookie === NO_RUNS || containers >= OFFSETS_FROM) at += 4 * containers;
  for (let i = 0; i < containers; i++) {
    const base = view.getUint16(head + 4 * i, true) * 2 ** 16;
    const count = view.getUint16(head + 4 * i + 2, true) + 1;
    if (runs(i)) {
      const ends = view.getUint16(at, true);
      at += 2;
      for (let run = 0; run < ends; run++, at += 4) {
        const first = view.getUint16(at, true);
        const more = view.getUint16(at + 2, true);
        for (let value = first; value <= first + more; value++) each(base + value);
      }
    } else if (count < BITMAP_FROM) {
      for (let j = 0; j < count; j++, at += 2) each(base + view.getUint16(at, true));
    } else {
      for (let value = 0; value < 65_536; value++) {
        if ((view.getUint8(at + (value >>> 3)) >>> (value & 7) & 1) === 1) each(base + value);
      }
      at += BITMAP_BYTES;
    }
  }
  return at;
}

/** Values by their quotient, with the rests; values rise. */
function groupBy(values: readonly number[], divisor: number): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (const value of values) {
    const key = Math.floor(value / divisor);
    const list = groups.get(key);
    if (list === undefined) groups.set(key, [value % divisor]);
    else list.push(value % divisor);
  }
  return groups;
}
