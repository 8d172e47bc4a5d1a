import {
  BIGINT,
  BLOB,
  blobValue,
  BOOLEAN,
  DOUBLE,
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBType,
  DuckDBUnionValue,
  type DuckDBValue,
  HUGEINT,
  SQLNULL,
  TIMESTAMPTZ,
  VARCHAR,
} from "@duckdb/node-api";

/** A value for a parameter. A `Date` is a TIMESTAMPTZ, a `Uint8Array` a BLOB. */
export type QueryParam = null | boolean | number | bigint | string | Uint8Array | Date;

/**
 * A value of a result:
 *
 * - whole numbers are `number` where that is exact, else `bigint`;
 * - DOUBLE and FLOAT are `number`; DECIMAL is `number` up to 15 digits, else its text;
 * - TIMESTAMPTZ is `YYYY-MM-DDThh:mm:ss.ffffffZ`, TIMESTAMP the same without `Z`;
 * - BLOB is `Uint8Array`, VARCHAR and JSON are `string`;
 * - LIST and ARRAY are arrays, STRUCT an object without prototype, MAP a list of pairs;
 * - everything else (DATE, TIME, INTERVAL, UUID …) is its text as DuckDB writes it.
 */
export type QueryValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly QueryValue[]
  | { readonly [field: string]: QueryValue };

/** A row of a result by column name. Its prototype is null. A name that comes again gets `:1`, `:2` … */
export type QueryRow = { readonly [column: string]: QueryValue };

/** A column of a result. */
export interface QueryColumn {
  /** Its name, the key in each row. */
  readonly name: string;
  /** Its DuckDB type: `BIGINT`, `VARCHAR`, `STRUCT(a INTEGER)` … */
  readonly type: string;
}

/** A value as DuckDB is given it, with the type it is bound as. */
export interface BoundParam {
  readonly value: DuckDBValue;
  readonly type: DuckDBType;
}

/** How a parameter is bound. */
export function bindParam(param: QueryParam): BoundParam {
  switch (typeof param) {
    case "boolean":
      return { value: param, type: BOOLEAN };
    case "string":
      return { value: param, type: VARCHAR };
    case "number":
      return Number.isSafeInteger(param) && !Object.is(param, -0)
        ? { value: BigInt(param), type: BIGINT }
        : { value: param, type: DOUBLE };
    case "bigint":
      return { value: param, type: BigInt.asIntN(64, param) === param ? BIGINT : HUGEINT };
  }
  if (param === null) return { value: null, type: SQLNULL };
  if (param instanceof Uint8Array) return { value: blobValue(param), type: BLOB };
  if (Number.isNaN(param.getTime())) {
    throw new TypeError("Cannot bind a parameter: the date is invalid");
  }
  return {
    value: new DuckDBTimestampTZValue(BigInt(param.getTime()) * 1000n),
    type: TIMESTAMPTZ,
  };
}

/** A value of a result in the form that {@linkcode QueryValue} promises. */
export function toQueryValue(value: DuckDBValue): QueryValue {
  if (value === null || typeof value !== "object") {
    return typeof value === "bigint" ? wholeNumber(value) : value;
  }
  if (value instanceof DuckDBTimestampTZValue) {
    const text = timestampText(value.micros);
    return text === undefined ? value.toString() : `${text}Z`;
  }
  if (value instanceof DuckDBTimestampValue) return timestampText(value.micros) ?? String(value);
  // A copy: what DuckDB gives is a Buffer over the bytes of its chunk.
  if (value instanceof DuckDBBlobValue) return new Uint8Array(value.bytes);
  if (value instanceof DuckDBDecimalValue) return decimalValue(value.toString());
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) {
    return value.items.map(toQueryValue);
  }
  if (value instanceof DuckDBMapValue) {
    return value.entries.map((entry) => [toQueryValue(entry.key), toQueryValue(entry.value)]);
  }
  if (value instanceof DuckDBUnionValue) return toQueryValue(value.value);
  if (value instanceof DuckDBStructValue) {
    const object: { [field: string]: QueryValue } = Object.create(null);
    for (const [field, item] of Object.entries(value.entries)) object[field] = toQueryValue(item);
    return object;
  }
  return String(value);
}

function wholeNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function decimalValue(text: string): number | string {
  const digits = text.replace(/[-.]/g, "").replace(/^0+/, "");
  return digits.length <= 15 ? Number(text) : text;
}

/** Microseconds since 1970 as `YYYY-MM-DDThh:mm:ss.ffffff`; undefined where `Date` does not reach. */
function timestampText(micros: bigint): string | undefined {
  const rest = ((micros % 1000n) + 1000n) % 1000n;
  const date = new Date(Number((micros - rest) / 1000n));
  if (Number.isNaN(date.getTime())) return undefined;
  return date.toISOString().slice(0, -1) + rest.toString().padStart(3, "0");
}
