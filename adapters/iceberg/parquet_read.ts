import { parquetMetadata, parquetRead } from "hyparquet";
import * as zlib from "node:zlib";
import type { Cell } from "./_cells.ts";

/** Columns of a Parquet file. */
export interface ReadColumns {
  /** How many rows there are. */
  readonly rows: number;
  /** Their cells by field id; a column that the file lacks is not there. */
  readonly columns: ReadonlyMap<number, ArrayLike<Cell | undefined>>;
}

const fromUtf8 = new TextDecoder();

// Looked up by name: runtimes before Deno 2.6 and Node.js 22.15 lack it.
const zstd: unknown = Reflect.get(zlib, "zstdDecompressSync");

const DECOMPRESSORS = {
  GZIP: (bytes: Uint8Array): Uint8Array => new Uint8Array(zlib.gunzipSync(bytes)),
  ...(typeof zstd === "function" && {
    ZSTD: (bytes: Uint8Array): Uint8Array => zstd(bytes) as Uint8Array,
  }),
};

/** Options of {@linkcode readColumns}. */
export interface ReadColumnsOptions {
  /**
   * Which columns.
   *
   * @default {undefined} all
   */
  readonly fieldIds?: readonly number[];
  /**
   * Only these rows, by their places. What is not asked for costs little.
   *
   * @default {undefined} all
   */
  readonly places?: readonly number[];
}

/**
 * Reads columns of a Parquet file by their field ids. Times are microseconds.
 *
 * @throws {RangeError} Where the file is damaged.
 */
export async function readColumns(
  bytes: Uint8Array,
  options: ReadColumnsOptions = {},
): Promise<ReadColumns> {
  try {
    return await read(bytes, options);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RangeError(`a data file is damaged: ${reason}`, { cause });
  }
}

async function read(
  bytes: Uint8Array,
  { fieldIds, places }: ReadColumnsOptions,
): Promise<ReadColumns> {
  const { buffer, byteOffset } = bytes;
  const slice = (start: number, end: number = bytes.length): ArrayBuffer =>
    buffer.slice(byteOffset + start, byteOffset + end) as ArrayBuffer;
  const whole = byteOffset === 0 && buffer.byteLength === bytes.length;
  const metadata = parquetMetadata((whole ? buffer : slice(0)) as ArrayBuffer);
  const wanted = fieldIds === undefined ? undefined : new Set(fieldIds);
  const ids = new Map<string, number>();
  const texts = new Set<number>();
  for (const { name, field_id, converted_type, logical_type } of metadata.schema.slice(1)) {
    if (field_id === undefined || wanted?.has(field_id) === false) continue;
    ids.set(name, field_id);
    if (converted_type === "UTF8" || logical_type?.type === "STRING") texts.add(field_id);
  }
  const rows = Number(metadata.num_rows);
  const columns = new Map<number, ArrayLike<Cell | undefined>>();
  const names = rows === 0 ? [] : [...ids.keys()];
  // Of few rows column by column, so that of the others no more than one column's is held at a time.
  for (const some of places === undefined ? [names] : names.map((name) => [name])) {
    if (some.length === 0) continue;
    await parquetRead({
      file: { byteLength: bytes.length, slice },
      metadata,
      columns: some,
      utf8: false,
      compressors: DECOMPRESSORS,
      parsers: {
        timestampFromMicroseconds: (micros: bigint) => micros,
        // Of few rows the texts are made below: to make all of them takes most of the time.
        ...(places !== undefined && { stringFromBytes: (text: Uint8Array) => text }),
      },
      onChunk: ({ columnName, columnData, rowStart }) => {
        const id = ids.get(columnName);
        if (id === undefined) return;
        if (columnData.length === rows) {
          columns.set(id, columnData as ArrayLike<Cell>);
          return;
        }
        let cells = columns.get(id) as (Cell | undefined)[] | undefined;
        if (cells === undefined) columns.set(id, cells = new Array<Cell | undefined>(rows));
        for (let i = 0; i < columnData.length; i++) cells[rowStart + i] = columnData[i] as Cell;
      },
    });
    if (places === undefined) continue;
    const id = ids.get(some[0]!)!;
    const cells = columns.get(id);
    if (cells === undefined) continue;
    const isText = texts.has(id);
    columns.set(
      id,
      places.map((place) => {
        const cell = cells[place];
        if (!(cell instanceof Uint8Array)) return cell;
        // A view would keep all bytes of its page.
        return isText ? fromUtf8.decode(cell) : cell.slice();
      }),
    );
  }
  return { rows: places?.length ?? rows, columns };
}
