/**
 * Numbers in Parquet's hybrid of run lengths and packed bits.
 *
 * @see {@link https://parquet.apache.org/docs/file-format/data-pages/encodings/ | Parquet, Encodings}
 */

/** Numbers that are packed alike. */
interface Run {
  /** Where the next one begins. */
  readonly next: number;
  /** How many numbers it has. */
  readonly count: number;
  /** Where they are packed; undefined: all are `value`. */
  readonly packed: number | undefined;
  readonly value: number;
}

function runAt(bytes: Uint8Array, { width, from }: HybridOptions): Run {
  if (from >= bytes.length) throw new RangeError("numbers end before their count");
  let next = from;
  let header = 0;
  for (let shift = 0;; shift += 7) {
    const byte = bytes[next++]!;
    header |= (byte & 0x7f) << shift;
    if ((byte & 0x80) === 0) break;
  }
  const count = header >>> 1;
  if ((header & 1) === 1) {
    return { next: next + count * width, count: count * 8, packed: next, value: 0 };
  }
  let value = 0;
  for (let shift = 0; shift < width; shift += 8) value |= bytes[next++]! << shift;
  return { next, count, packed: undefined, value };
}

/** So many numbers of one bit each; undefined where all are 1. */
export function levelsOf(bytes: Uint8Array, count: number): Uint8Array | undefined {
  const levels = new Uint8Array(count);
  let all = true;
  let at = 0;
  for (let from = 0; at < count;) {
    const run = runAt(bytes, { width: 1, from });
    const end = Math.min(count, at + run.count);
    const { packed } = run;
    if (packed === undefined) {
      if (run.value === 1) levels.fill(1, at, end);
      else all = false;
    } else {
      for (let i = at; i < end; i++) {
        const bit = bytes[packed + (i - at >>> 3)]! >>> (i - at & 7) & 1;
        levels[i] = bit;
        if (bit === 0) all = false;
      }
    }
    at = end;
    from = run.next;
  }
  return all ? undefined : levels;
}

/** Where numbers are, and how they are packed. */
export interface HybridOptions {
  /** Bits of a number: at most 24. */
  readonly width: number;
  /** Where the first run begins. */
  readonly from: number;
}

/**
 * Reads single numbers without decoding the others.
 *
 * @returns The number at a place; places must be asked for in rising order. It throws a `RangeError`
 * for one behind the last.
 */
export function hybridAt(
  bytes: Uint8Array,
  { width, from }: HybridOptions,
): (place: number) => number {
  if (width === 0) return () => 0;
  const mask = (1 << width) - 1;
  let start = 0;
  let end = 0;
  let run: Run = { next: from, count: 0, packed: undefined, value: 0 };
  return (place) => {
    while (place >= end) {
      run = runAt(bytes, { width, from: run.next });
      start = end;
      end += run.count;
    }
    const { packed, value } = run;
    if (packed === undefined) return value;
    const bit = (place - start) * width;
    let byte = packed + (bit >>> 3);
    let got = 8 - (bit & 7);
    let number = bytes[byte]! >>> (bit & 7);
    for (; got < width; got += 8) number |= bytes[++byte]! << got;
    return number & mask;
  };
}
