import { type FileMetaData, parquetMetadata, parquetRead } from "hyparquet";
import type { Cell } from "./_cells.ts";
import { DECOMPRESSORS } from "./_compress.ts";
import { findTexts, type FoundRows, type WantedTexts } from "./parquet_find.ts";
import { pickCells } from "./parquet_pick.ts";

/** Columns of a Parquet file. */
export interface ReadColumns {
  /** How many rows there are. */
  readonly rows: number;
  /** Their cells by field id; a column that the file lacks is not there. */
  readonly columns: ReadonlyMap<number, ArrayLike<Cell | undefined>>;
}

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
  return await guarded(() => read(bytes, options));
}

/**
 * The rows of a Parquet file that have one of those texts in a column.
 *
 * @throws {RangeError} Where the file is damaged.
 */
export async function findRows(
  bytes: Uint8Array,
  { fieldId, wanted }: { fieldId: number; wanted: WantedTexts },
): Promise<FoundRows> {
  return await guarded(async () => {
    const metadata = metadataOf(bytes);
    const column = isFlat(metadata)
      ? metadata.schema.findIndex(({ field_id }) => field_id === fieldId) - 1
      : -1;
    const found = column < 0 ? undefined : findTexts({ bytes, metadata, column }, wanted);
    if (found !== undefined) return found;
    const { rows, columns } = await read(bytes, { fieldIds: [fieldId] });
    const all = columns.get(fieldId) as ArrayLike<string | undefined> | undefined;
    const places: number[] = [];
    const texts: string[] = [];
    for (let row = 0; row < rows; row++) {
      const text = all?.[row];
      if (text === undefined || !wanted.has(text)) continue;
      places.push(row);
      texts.push(text);
    }
    return { places, texts };
  });
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RangeError(`a data file is damaged: ${reason}`, { cause });
  }
}

// A text may begin with what elsewhere marks the order of bytes.
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const PARSERS = {
  timestampFromMicroseconds: (micros: bigint) => micros,
  stringFromBytes: (bytes: Uint8Array | undefined) => bytes && fromUtf8.decode(bytes),
};

const FOOTERS = new WeakMap<Uint8Array, FileMetaData>();

/** A file's footer; it is parsed once, as a file's columns may be read one after the other. */
function metadataOf(file: Uint8Array): FileMetaData {
  const known = FOOTERS.get(file);
  if (known !== undefined) return known;
  const { buffer, byteOffset, length } = file;
  const whole = byteOffset === 0 && buffer.byteLength === length;
  const metadata = parquetMetadata(
    (whole ? buffer : buffer.slice(byteOffset, byteOffset + length)) as ArrayBuffer,
  );
  FOOTERS.set(file, metadata);
  return metadata;
}

/** Whether each element of the schema but the root is a column. */
function isFlat({ schema }: FileMetaData): boolean {
  return schema.slice(1).every(({ num_children }) => (num_children ?? 0) === 0);
}

async function read(
  bytes: Uint8Array,
  { fieldIds, places }: ReadColumnsOptions,
): Promise<ReadColumns> {
  const { buffer, byteOffset } = bytes;
  const slice = (start: number, end: number = bytes.length): ArrayBuffer =>
    buffer.slice(byteOffset + start, byteOffset + end) as ArrayBuffer;
  const metadata = metadataOf(bytes);
  const wanted = fieldIds === undefined ? undefined : new Set(fieldIds);
  const ids = new Map<string, number>();
  const columns = new Map<number, ArrayLike<Cell | undefined>>();
  const flat = isFlat(metadata);
  for (const [i, { name, field_id }] of metadata.schema.slice(1).entries()) {
    if (field_id === undefined || wanted?.has(field_id) === false) continue;
    const picked = places !== undefined && flat
      ? pickCells({ bytes, metadata, column: i }, places)
      : undefined;
    if (picked === undefined) ids.set(name, field_id);
    else columns.set(field_id, picked);
  }
  const rows = Number(metadata.num_rows);
  if (rows > 0 && ids.size > 0) {
    await parquetRead({
      file: { byteLength: bytes.length, slice },
      metadata,
      columns: [...ids.keys()],
      utf8: false,
      compressors: DECOMPRESSORS,
      parsers: PARSERS,
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
  }
  if (places === undefined) return { rows, columns };
  for (const id of ids.values()) {
    const cells = columns.get(id);
    if (cells !== undefined) columns.set(id, places.map((place) => cells[place]));
  }
  return { rows: places.length, columns };
}
