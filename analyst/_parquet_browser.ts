import { decompress as unzstd } from "fzstd";
import { parquetMetadata, parquetRead } from "hyparquet";
import type { Cell } from "./_duckdb.ts";

/** A data file's rows, by field id. A column that it lacks is not there. */
export interface ParquetRows {
  readonly count: number;
  readonly columns: ReadonlyMap<number, readonly Cell[]>;
}

/** What the Parquet library does not unpack itself. Whole buffers are faster than to grow one. */
const COMPRESSORS = {
  ZSTD: (bytes: Uint8Array, length: number): Uint8Array => unzstd(bytes, new Uint8Array(length)),
};

// A text may begin with what elsewhere marks the order of bytes.
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads the row groups of a Parquet file, one after the other. Throws a `RangeError` where it is
 * damaged.
 */
export async function* readParquet(bytes: Uint8Array<ArrayBuffer>): AsyncIterable<ParquetRows> {
  const { buffer, byteOffset, byteLength } = bytes;
  const slice = (start: number, end: number = byteLength) =>
    buffer.slice(byteOffset + start, byteOffset + end);
  try {
    const metadata = parquetMetadata(slice(0));
    const ids = new Map(metadata.schema.map(({ name, field_id }) => [name, field_id]));
    let rowStart = 0;
    for (const { num_rows } of metadata.row_groups) {
      const count = Number(num_rows);
      const parts = new Map<number, Cell[]>();
      await parquetRead({
        file: { byteLength, slice },
        metadata,
        compressors: COMPRESSORS,
        parsers: {
          timestampFromMicroseconds: (micros) => micros,
          stringFromBytes: (bytes) => bytes && fromUtf8.decode(bytes),
        },
        // Bytes are bytes; what is text says so.
        utf8: false,
        rowStart,
        rowEnd: rowStart + count,
        onChunk({ columnName, columnData }) {
          const id = ids.get(columnName);
          if (id === undefined) return;
          const cells = parts.get(id) ?? [];
          parts.set(id, cells);
          for (let i = 0; i < columnData.length; i++) cells.push((columnData[i] ?? null) as Cell);
        },
      });
      yield { count, columns: parts };
      rowStart += count;
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RangeError(`a data file is damaged: ${reason}`, { cause });
  }
}
