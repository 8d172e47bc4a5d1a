import {
  Binary,
  Bool,
  type Data,
  type DataType,
  Field,
  Float64,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableToIPC,
  TimestampMicrosecond,
  Utf8,
} from "apache-arrow";
import type { AppendedRows, Cell } from "./_duckdb.ts";

/** Rows as an Arrow stream that DuckDB takes. Columns that are not there are not in it. */
export function arrowStream({ columns, count, cells }: AppendedRows): Uint8Array {
  const children = columns.map(({ type }, i) => toData(type, cells[i]!));
  const fields = columns.map(({ name }, i) => new Field(name, children[i]!.type, true));
  const schema = new Schema(fields);
  const data = makeData({ type: new Struct(fields), length: count, nullCount: 0, children });
  return tableToIPC(new Table(schema, [new RecordBatch(schema, data)]), "stream");
}

/** A column's values, as Arrow lays them out. */
function toData(type: string, cells: readonly Cell[]): Data<DataType> {
  const length = cells.length;
  const nulls = nullsOf(cells);
  switch (type) {
    case "BIGINT": {
      const data = BigInt64Array.from(cells, (cell) => (cell ?? 0n) as bigint);
      return makeData({ type: new Int64(), length, data, ...nulls });
    }
    case "TIMESTAMPTZ": {
      const data = BigInt64Array.from(cells, (cell) => (cell ?? 0n) as bigint);
      return makeData({ type: new TimestampMicrosecond("UTC"), length, data, ...nulls });
    }
    case "DOUBLE": {
      const data = Float64Array.from(cells, (cell) => (cell ?? 0) as number);
      return makeData({ type: new Float64(), length, data, ...nulls });
    }
    case "BOOLEAN": {
      const data = bitsOf(cells, (cell) => cell === true);
      return makeData({ type: new Bool(), length, data, ...nulls });
    }
    case "BLOB": {
      const parts = cells.map((cell) => (cell ?? NOTHING) as Uint8Array);
      return makeData({ type: new Binary(), length, ...joined(parts), ...nulls });
    }
    default: {
      const texts = textsOf(cells as readonly (string | null)[]);
      return makeData({ type: new Utf8(), length, ...texts, ...nulls });
    }
  }
}

const NOTHING = new Uint8Array();

/** Which values are there: a bit for each, the first in the lowest. */
function nullsOf(cells: readonly Cell[]): { nullCount: number; nullBitmap: Uint8Array } {
  const nullCount = cells.reduce((count: number, cell) => cell === null ? count + 1 : count, 0);
  return { nullCount, nullBitmap: bitsOf(cells, (cell) => cell !== null) };
}

function bitsOf(cells: readonly Cell[], isSet: (cell: Cell) => boolean): Uint8Array {
  // Arrow's buffers are multiples of eight bytes.
  const bits = new Uint8Array(Math.ceil(cells.length / 64) * 8);
  for (const [i, cell] of cells.entries()) if (isSet(cell)) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}

interface Joined {
  readonly valueOffsets: Int32Array;
  readonly data: Uint8Array;
}

function joined(parts: readonly Uint8Array[]): Joined {
  const valueOffsets = new Int32Array(parts.length + 1);
  for (const [i, { length }] of parts.entries()) valueOffsets[i + 1] = valueOffsets[i]! + length;
  const data = new Uint8Array(valueOffsets[parts.length]!);
  for (const [i, part] of parts.entries()) data.set(part, valueOffsets[i]!);
  return { valueOffsets, data };
}

/** Texts as UTF-8, one after the other. */
function textsOf(texts: readonly (string | null)[]): Joined {
  const valueOffsets = new Int32Array(texts.length + 1);
  const encoder = new TextEncoder();
  const units = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
  // A unit of UTF-16 becomes three bytes at most.
  let data = new Uint8Array(units + 64);
  let end = 0;
  for (const [i, text] of texts.entries()) {
    if (text !== null && text !== "") {
      const most = end + 3 * text.length;
      if (most > data.length) {
        const larger = new Uint8Array(Math.max(most, 2 * data.length));
        larger.set(data.subarray(0, end));
        data = larger;
      }
      end += encoder.encodeInto(text, data.subarray(end)).written;
    }
    valueOffsets[i + 1] = end;
  }
  return { valueOffsets, data: data.subarray(0, end) };
}
