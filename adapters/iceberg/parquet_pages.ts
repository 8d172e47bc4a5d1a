import type { ColumnMetaData, Compressors } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { decompressPage } from "hyparquet/src/datapage.js";
import { levelsOf } from "./parquet_hybrid.ts";

/** Values of a column that lie next to each other. */
export interface Values {
  /** In the plain encoding, or places in a dictionary: see {@linkcode Page.dictionary}. */
  readonly bytes: Uint8Array;
  /** The same bytes. */
  readonly view: DataView;
  /** How many there are, nulls left out. */
  readonly count: number;
}

/** A page of a column that is no list and part of none. */
export interface Page extends Values {
  /** Its first row, counted from the row group's first. */
  readonly start: number;
  /** How many rows it has. */
  readonly rows: number;
  /** Whether each row has a value (1) or not (0); undefined: all have. */
  readonly present: Uint8Array | undefined;
  /** The dictionary whose places it holds; undefined: it holds the values. */
  readonly dictionary: Values | undefined;
}

/** What pages are read with. */
export interface PagesOptions {
  /** Whether the column may have nulls. */
  readonly optional: boolean;
  /** Whether rows from `start` to before `end` are of interest: others are not decompressed. */
  readonly wants: (start: number, end: number) => boolean;
  readonly compressors: Compressors;
}

/**
 * The pages of a column chunk, unpacked but not decoded; the last is `undefined` where a page has an
 * encoding that is not known here. It throws where the file is damaged, whatever that leads to.
 */
export function* pagesOf(
  file: Uint8Array,
  chunk: ColumnMetaData,
  { optional, wants, compressors }: PagesOptions,
): Generator<Page | undefined, void> {
  const from = Number(chunk.dictionary_page_offset ?? chunk.data_page_offset);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const reader = { view, offset: from };
  const rows = Number(chunk.num_values);
  const unpack = (bytes: Uint8Array, length: number): Uint8Array =>
    decompressPage(bytes, length, chunk.codec, compressors);
  let dictionary: Values | undefined;
  for (let start = 0; start < rows;) {
    const header = parquetHeader(reader);
    const at = reader.offset;
    if (!(header.compressed_page_size >= 0)) throw new RangeError("a page has no size");
    reader.offset += header.compressed_page_size;
    const packed = file.subarray(at, reader.offset);
    const size = header.uncompressed_page_size;
    if (header.dictionary_page_header !== undefined) {
      dictionary = valuesOf(unpack(packed, size), header.dictionary_page_header.num_values);
      continue;
    }
    const [v1, v2] = [header.data_page_header, header.data_page_header_v2];
    const about = v1 ?? v2;
    if (about === undefined) continue;
    const known = about.encoding === "PLAIN" || about.encoding.endsWith("_DICTIONARY");
    if (!known) return yield undefined;
    const first = start;
    start += about.num_values;
    if (!(start > first && start <= rows)) {
      throw new RangeError("a page has another number of rows");
    }
    if (!wants(first, start)) continue;
    let present: Uint8Array | undefined;
    let bytes: Uint8Array;
    if (v2 !== undefined) {
      const levels = v2.repetition_levels_byte_length + v2.definition_levels_byte_length;
      if (v2.num_nulls > 0) present = levelsOf(packed.subarray(0, levels), v2.num_values);
      const rest = packed.subarray(levels);
      bytes = v2.is_compressed === false ? rest : unpack(rest, size - levels);
    } else {
      bytes = unpack(packed, size);
      if (optional) {
        const end = 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
        present = levelsOf(bytes.subarray(4, end), about.num_values);
        bytes = bytes.subarray(end);
      }
    }
    const plain = about.encoding === "PLAIN";
    if (!plain && dictionary === undefined) throw new RangeError("a dictionary is missing");
    yield {
      start: first,
      rows: about.num_values,
      present,
      dictionary: plain ? undefined : dictionary,
      ...valuesOf(bytes, present === undefined ? about.num_values : sum(present)),
    };
  }
}

function valuesOf(bytes: Uint8Array, count: number): Values {
  return { bytes, count, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

function sum(present: Uint8Array): number {
  let count = 0;
  for (const one of present) count += one;
  return count;
}
