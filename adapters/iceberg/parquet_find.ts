import { DECOMPRESSORS } from "./_compress.ts";
import { encodeTexts } from "./_texts.ts";
import { pagesOf } from "./parquet_pages.ts";
import type { ColumnOfFile } from "./parquet_pick.ts";

const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Texts that are looked for. */
export interface WantedTexts {
  has(text: string): boolean;
  keys(): Iterable<string>;
  readonly size: number;
}

/** Rows that were found. */
export interface FoundRows {
  /** Their places in the file, rising. */
  readonly places: readonly number[];
  /** The text that each has. */
  readonly texts: readonly string[];
}

/**
 * The rows of a file whose text is one of those: by hashes of the bytes, so that only those that may
 * be one become texts.
 *
 * @returns Undefined where the column has an encoding that this does not know.
 * It throws where the file is damaged.
 */
export function findTexts(
  { bytes, metadata, column }: ColumnOfFile,
  wanted: WantedTexts,
): FoundRows | undefined {
  const { type, repetition_type } = metadata.schema[column + 1]!;
  if (type !== "BYTE_ARRAY") return undefined;
  const may = filterOf(wanted);
  const places: number[] = [];
  const texts: string[] = [];
  let base = 0;
  for (const group of metadata.row_groups) {
    const chunk = group.columns[column]?.meta_data;
    if (chunk === undefined) return undefined;
    const pages = pagesOf(bytes, chunk, {
      optional: repetition_type !== "REQUIRED",
      wants: () => true,
      compressors: DECOMPRESSORS,
    });
    for (const page of pages) {
      if (page === undefined || page.present !== undefined || page.dictionary !== undefined) {
        return undefined;
      }
      const { view, rows, start } = page;
      let offset = 0;
      for (let row = 0; row < rows; row++) {
        const length = view.getUint32(offset, true);
        const from = offset + 4;
        offset = from + length;
        if (!may(hashOf(view, from, offset))) continue;
        const text = fromUtf8.decode(page.bytes.subarray(from, offset));
        if (!wanted.has(text)) continue;
        places.push(base + start + row);
        texts.push(text);
      }
    }
    base += Number(group.num_rows);
  }
  return { places, texts };
}

/** Tells of a hash whether it may be that of a text: of 64 hashes one may although it is not. */
function filterOf(wanted: WantedTexts): (hash: number) => boolean {
  let bits = 1024;
  while (bits < wanted.size * 64) bits *= 2;
  const filter = new Uint8Array(bits / 8);
  for (const bytes of encodeTexts([...wanted.keys()])) {
    const hash =
      hashOf(new DataView(bytes.buffer), bytes.byteOffset, bytes.byteOffset + bytes.length) &
      bits - 1;
    filter[hash >>> 3]! |= 1 << (hash & 7);
  }
  return (hash) => (filter[(hash & bits - 1) >>> 3]! >>> (hash & 7) & 1) === 1;
}

/** Of longer texts the hash looks at four places: two alike there are told apart as texts. */
const SHORT = 16;

function hashOf(view: DataView, from: number, end: number): number {
  const length = end - from;
  let hash = length;
  let at = from;
  if (length > SHORT) {
    hash = mixed(hash, view.getInt32(from, true));
    hash = mixed(hash, view.getInt32(from + (length >>> 1), true));
    hash = mixed(hash, view.getInt32(end - 8, true));
    return mixed(hash, view.getInt32(end - 4, true));
  }
  for (; at + 4 <= end; at += 4) hash = mixed(hash, view.getInt32(at, true));
  for (; at < end; at++) hash = Math.imul(hash ^ view.getUint8(at), 0x9e37_79b1) ^ hash >>> 13;
  return hash;
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e37_79b1);
  return product ^ product >>> 15;
}
