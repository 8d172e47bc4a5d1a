import type { FileMetaData, SchemaElement } from "hyparquet";
import type { Cell } from "./_cells.ts";
import { DECOMPRESSORS } from "./_compress.ts";
import { hybridAt } from "./parquet_hybrid.ts";
import { type Page, pagesOf, type Values } from "./parquet_pages.ts";

/**
 * Cells of few rows of a Parquet file. Only pages with such rows are unpacked, and of those only such
 * cells decoded: of 1 % of the rows that takes a fraction of the time of reading the column.
 */

const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });
/** Places in a dictionary have no more bits than this here. */
const MOST_BITS = 24;

/** A column of a file. */
export interface ColumnOfFile {
  /** The file. */
  readonly bytes: Uint8Array;
  readonly metadata: FileMetaData;
  /** The column's place among the file's. */
  readonly column: number;
}

/**
 * The cells of a column in some rows.
 *
 * @param places The rows, rising.
 * @returns The cells, undefined for nulls; or undefined where the column is of a type or has an
 * encoding that this does not know. It throws where the file is damaged.
 */
export function pickCells(
  { bytes, metadata, column }: ColumnOfFile,
  places: readonly number[],
): (Cell | undefined)[] | undefined {
  const element = metadata.schema[column + 1]!;
  const read = readerOf(element);
  if (read === undefined) return undefined;
  const cells: (Cell | undefined)[] = [];
  let next = 0;
  let base = 0;
  for (const group of metadata.row_groups) {
    const wants = (_: number, end: number) => places[next]! < base + end;
    const chunk = group.columns[column]?.meta_data;
    if (chunk === undefined) return undefined;
    const optional = element.repetition_type !== "REQUIRED";
    for (const page of pagesOf(bytes, chunk, { optional, wants, compressors: DECOMPRESSORS })) {
      if (page === undefined) return undefined;
      const first = next;
      const end = base + page.start + page.rows;
      while (next < places.length && places[next]! < end) next++;
      const rows = places.slice(first, next).map((place) => place - base - page.start);
      if (!pickPage(page, { rows, read, cells })) return undefined;
      if (next === places.length) return cells;
    }
    base += Number(group.num_rows);
  }
  if (next < places.length) throw new RangeError("a row is behind the last one");
  return cells;
}

/** Reads plain values at rising places. */
type Reader = (values: Values, places: readonly number[]) => Cell[];

/** Adds the cells of some rows of a page; false where its encoding is not known here. */
function pickPage(
  { present, dictionary, bytes, ...page }: Page,
  { rows, read, cells }: {
    rows: readonly number[];
    read: Reader;
    cells: (Cell | undefined)[];
  },
): boolean {
  // Values are counted without nulls.
  const places: number[] = [];
  let row = 0;
  let before = 0;
  for (const wanted of rows) {
    if (present === undefined) {
      places.push(wanted);
      continue;
    }
    for (; row < wanted; row++) before += present[row]!;
    if (present[wanted] === 1) places.push(before);
  }
  let values: Cell[];
  if (dictionary === undefined) {
    values = read({ bytes, ...page }, places);
  } else {
    const width = bytes[0] ?? 0;
    if (width > MOST_BITS) return false;
    const at = hybridAt(bytes, { width, from: 1 });
    const entries = places.map(at);
    const sorted = [...new Set(entries)].sort((a, b) => a - b);
    const texts = read(dictionary, sorted);
    const known = new Map(sorted.map((entry, i) => [entry, texts[i]!]));
    values = entries.map((entry) => known.get(entry)!);
  }
  let next = 0;
  for (const wanted of rows) {
    cells.push(present === undefined || present[wanted] === 1 ? values[next++] : undefined);
  }
  return true;
}

/** How values of a type are read; undefined where that is not known here. */
function readerOf({ type, converted_type, logical_type }: SchemaElement): Reader | undefined {
  const kind = logical_type?.type ?? converted_type;
  switch (type) {
    case "BYTE_ARRAY":
      if (kind === "STRING" || kind === "UTF8") return (values, at) => texts(values, at);
      return kind === undefined ? (values, at) => slices(values, at) : undefined;
    case "INT64":
      // Times are microseconds.
      if (kind !== undefined && kind !== "INTEGER" && !isMicros({ converted_type, logical_type })) {
        return undefined;
      }
      return ({ view }, at) => at.map((place) => view.getBigInt64(8 * place, true));
    case "DOUBLE":
      return kind === undefined
        ? ({ view }, at) => at.map((place) => view.getFloat64(8 * place, true))
        : undefined;
    case "BOOLEAN":
      return ({ view }, at) =>
        at.map((place) => (view.getUint8(place >>> 3) >>> (place & 7) & 1) === 1);
    default:
      return undefined;
  }
}

function isMicros({ converted_type, logical_type }: {
  converted_type: SchemaElement["converted_type"];
  logical_type: SchemaElement["logical_type"];
}): boolean {
  return logical_type === undefined
    ? converted_type === "TIMESTAMP_MICROS"
    : logical_type.type === "TIMESTAMP" && logical_type.unit === "MICROS";
}

const texts = (values: Values, at: readonly number[]): string[] =>
  views(values, at).map((text) => fromUtf8.decode(text));

// A view would keep all bytes of its page, and a `Buffer`'s slice is a view.
const slices = (values: Values, at: readonly number[]): Uint8Array[] =>
  views(values, at).map((text) => new Uint8Array(text));

/** Byte arrays: each has its length before it, so the way to one leads over all before it. */
function views({ bytes, view }: Values, at: readonly number[]): Uint8Array[] {
  let offset = 0;
  let place = 0;
  return at.map((wanted) => {
    for (; place < wanted; place++) offset += 4 + view.getUint32(offset, true);
    const end = offset + 4 + view.getUint32(offset, true);
    if (end > bytes.length) throw new RangeError("a text ends behind its page");
    return bytes.subarray(offset + 4, end);
  });
}
