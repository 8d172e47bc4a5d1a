import { parquetMetadata, type ParquetParsers, type RowGroup, type SchemaElement } from "hyparquet";
import { lowerBound, upperBound } from "./_range.ts";
import type { Cell } from "./_cells.ts";
import type { FoldedFile } from "./compact_engine.ts";

/**
 * A Parquet file that somebody else wrote, with what a manifest says about it: taken from its footer.
 *
 * @throws {RangeError} Where it is none.
 */
export function foldedFile(bytes: Uint8Array): FoldedFile {
  const { buffer, byteOffset, length } = bytes;
  const metadata = parquetMetadata(
    buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer,
    { parsers: PARSERS },
  );
  const groups = metadata.row_groups;
  const rows = Number(metadata.num_rows);
  const metrics = {
    columnSizes: new Map<number, bigint>(),
    valueCounts: new Map<number, bigint>(),
    nullCounts: new Map<number, bigint>(),
    lowerBounds: new Map<number, Uint8Array>(),
    upperBounds: new Map<number, Uint8Array>(),
    splitOffsets: groups.map(startOf),
  };
  for (const [column, element] of metadata.schema.slice(1).entries()) {
    const { field_id: id } = element;
    if (id === undefined) throw new RangeError("a column has no field id");
    const chunks = groups.map((group) => group.columns[column]!.meta_data!);
    const sum = (values: readonly bigint[]) => values.reduce((all, one) => all + one, 0n);
    metrics.columnSizes.set(id, sum(chunks.map((chunk) => chunk.total_compressed_size)));
    metrics.valueCounts.set(id, BigInt(rows));
    const counts = chunks.map(({ statistics }) => statistics?.null_count);
    if (counts.every((count) => count !== undefined)) metrics.nullCounts.set(id, sum(counts));
    // Of several row groups the bounds would have to be compared by type: files have one.
    const [chunk, ...others] = chunks;
    if (others.length > 0) continue;
    const { min_value: min, max_value: max } = chunk?.statistics ?? {};
    if (min !== undefined) metrics.lowerBounds.set(id, lowerBound(cellOf(element, min)));
    const upper = max === undefined ? undefined : upperBound(cellOf(element, max));
    if (upper !== undefined) metrics.upperBounds.set(id, upper);
  }
  return { bytes, rows, metrics };
}

// Statistics do not say which bytes are a text: the schema does.
const PARSERS = {
  timestampFromMicroseconds: (micros: bigint) => micros,
  stringFromBytes: (bytes: Uint8Array) => bytes,
} as unknown as ParquetParsers;

const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** A value of the statistics, as a cell. */
function cellOf(
  { type, converted_type, logical_type }: SchemaElement,
  value: unknown,
): Exclude<Cell, null> {
  const isText = converted_type === "UTF8" || logical_type?.type === "STRING";
  if (type !== "BYTE_ARRAY") return value as Exclude<Cell, null>;
  return isText ? fromUtf8.decode(value as Uint8Array) : (value as Uint8Array).slice();
}

/** Where a row group begins. */
function startOf({ columns }: RowGroup): bigint {
  const { dictionary_page_offset, data_page_offset } = columns[0]!.meta_data!;
  return dictionary_page_offset ?? data_page_offset;
}
