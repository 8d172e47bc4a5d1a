import {
  type Data,
  type DataType,
  type Decimal,
  type RecordBatch,
  type Timestamp,
  Type,
} from "apache-arrow";
import type { Dictionary, Field, FixedSizeList, Int, Interval, Time } from "apache-arrow";
import { emptyRows } from "./_duckdb.ts";
import { dateText, intervalText, timeText } from "./_texts.ts";
import { decimalValue, timestampText, wholeNumber } from "./_values.ts";
import type { QueryRow, QueryValue } from "./values.ts";

/** The rows of a batch by the columns' names, in the form that `QueryValue` promises. */
export function batchRows(batch: RecordBatch, names: readonly string[]): QueryRow[] {
  const rows = emptyRows(batch.numRows);
  // Where there are no rows there may be no columns within columns.
  if (rows.length === 0) return rows;
  for (const [i, name] of names.entries()) {
    const read = reader(batch.data.children[i]!);
    for (const [j, row] of rows.entries()) row[name] = read(j);
  }
  return rows;
}

type Read = (i: number) => QueryValue;

/** Gives a column's values by their places. */
function reader(data: Data<DataType>): Read {
  const read = valueReader(data);
  return data.nullCount === 0 ? read : (i) => data.getValid(i) ? read(i) : null;
}

function valueReader(data: Data<DataType>): Read {
  const { type, values, valueOffsets, children } = data;
  switch (type.typeId) {
    case Type.Null:
      return () => null;
    case Type.Bool:
      return (i) => (values[(data.offset + i) >> 3] >> ((data.offset + i) & 7) & 1) === 1;
    case Type.Int:
      return (type as Int).bitWidth === 64 ? (i) => wholeNumber(values[i]) : (i) => values[i];
    case Type.Float:
      return (i) => values[i];
    case Type.Decimal:
      return decimalReader(type as Decimal, values as Uint32Array);
    case Type.Utf8: {
      const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
      return (i) => decoder.decode(values.subarray(valueOffsets[i], valueOffsets[i + 1]));
    }
    case Type.Binary:
      return (i) => new Uint8Array(values.subarray(valueOffsets[i], valueOffsets[i + 1]));
    case Type.Timestamp:
      return timestampReader(type as Timestamp, values as BigInt64Array);
    case Type.Date:
      return (i) => dateText(values[i]);
    case Type.Time:
      return (type as Time).bitWidth === 64
        ? (i) => timeText(values[i])
        : (i) => timeText(BigInt(values[i]) * 1000n);
    case Type.Interval:
      return intervalReader(type as Interval, values as Int32Array);
    case Type.List: {
      const read = reader(children[0]!);
      return (i) => list(valueOffsets[i]!, valueOffsets[i + 1]!, read);
    }
    case Type.FixedSizeList: {
      const { listSize } = type as FixedSizeList;
      const read = reader(children[0]!);
      return (i) => list(i * listSize, (i + 1) * listSize, read);
    }
    case Type.Map: {
      const [key, value] = children[0]!.children.map(reader);
      return (i) => list(valueOffsets[i]!, valueOffsets[i + 1]!, (j) => [key!(j), value!(j)]);
    }
    case Type.Struct:
      return structReader(type.children as Field[], children.map(reader));
    case Type.Union: {
      const ids = (data as unknown as { readonly typeIds: Int8Array }).typeIds;
      const reads = children.map(reader);
      return (i) => reads[ids[i]!]!(i);
    }
    case Type.Dictionary: {
      const { dictionary } = data as unknown as Data<Dictionary>;
      const read = reader(dictionary!.data[0]!);
      return (i) => read(Number(values[i]));
    }
    case Type.FixedSizeBinary:
      return (i) => wholeNumber(unsigned(values.subarray(16 * i, 16 * (i + 1))));
    default:
      throw new RangeError(`Cannot read a column of Arrow's type ${type}: cast it to VARCHAR`);
  }
}

function list(start: number, end: number, read: Read): readonly QueryValue[] {
  return Array.from({ length: end - start }, (_, j) => read(start + j));
}

function structReader(fields: readonly Field[], reads: readonly Read[]): Read {
  return (i) => {
    const object: { [field: string]: QueryValue } = Object.create(null);
    for (const [j, { name }] of fields.entries()) object[name] = reads[j]!(i);
    return object;
  };
}

/** HUGEINT, which sums are, comes as a decimal of 38 digits without a point. */
function decimalReader({ precision, scale, bitWidth }: Decimal, values: Uint32Array): Read {
  const words = bitWidth / 32;
  return (i) => {
    let number = 0n;
    for (let word = words; word-- > 0;) {
      number = number << 32n | BigInt(values[i * words + word]!);
    }
    number = BigInt.asIntN(bitWidth, number);
    if (precision === 38 && scale === 0) return wholeNumber(number);
    const digits = String(number < 0n ? -number : number).padStart(scale + 1, "0");
    const whole = digits.slice(0, digits.length - scale);
    const part = scale === 0 ? "" : `.${digits.slice(-scale)}`;
    return decimalValue(`${number < 0n ? "-" : ""}${whole}${part}`);
  };
}

const INFINITY = 2n ** 63n - 1n;

function timestampReader({ unit, timezone }: Timestamp, values: BigInt64Array): Read {
  const zone = (timezone ?? null) === null ? "" : "Z";
  // Seconds, milliseconds, microseconds, nanoseconds.
  const [times = 1n, by = 1n] = [[1_000_000n], [1000n], [1n], [1n, 1000n]][unit] ?? [];
  return (i) => {
    const value = values[i]!;
    if (value === INFINITY) return "infinity";
    if (value === -INFINITY) return "-infinity";
    const rest = ((value % by) + by) % by;
    const text = timestampText((value - rest) / by * times) ?? String(value);
    return unit === 3 ? `${text}${String(rest).padStart(3, "0")}` : `${text}${zone}`;
  };
}

/** Months, days, and nanoseconds in two words. */
function intervalReader(_type: Interval, values: Int32Array): Read {
  return (i) => {
    const [months, days, low, high] = values.subarray(4 * i, 4 * (i + 1));
    const nanos = BigInt(high!) << 32n | BigInt(low! >>> 0);
    return intervalText({ months: months!, days: days!, micros: nanos / 1000n });
  };
}

/** A number of 128 bits, the lowest byte first. */
function unsigned(bytes: Uint8Array): bigint {
  return bytes.reduceRight((number, byte) => number << 8n | BigInt(byte), 0n);
}
