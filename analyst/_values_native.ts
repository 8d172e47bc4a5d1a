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
import { type Params } from "./_duckdb.ts";
import {
  dateMicros,
  decimalValue,
  isList,
  isWhole,
  timestampText,
  wholeNumber,
} from "./_values.ts";
import type { QueryParam, QueryValue } from "./values.ts";

interface BoundParams {
  readonly values: DuckDBValue[] | Record<string, DuckDBValue>;
  readonly types: DuckDBType[] | Record<string, DuckDBType>;
}

/** How a query's parameters are bound. */
export function bindParams(params: Params): BoundParams {
  if (isList(params)) {
    const bound = params.map(bindParam);
    return { values: bound.map(({ value }) => value), types: bound.map(({ type }) => type) };
  }
  const bound = Object.entries(params).map(([name, param]) => [name, bindParam(param)] as const);
  return {
    values: Object.fromEntries(bound.map(([name, { value }]) => [name, value])),
    types: Object.fromEntries(bound.map(([name, { type }]) => [name, type])),
  };
}

/** A value as DuckDB is given it, with the type it is bound as. */
interface BoundParam {
  readonly value: DuckDBValue;
  readonly type: DuckDBType;
}

function bindParam(param: QueryParam): BoundParam {
  switch (typeof param) {
    case "boolean":
      return { value: param, type: BOOLEAN };
    case "string":
      return { value: param, type: VARCHAR };
    case "number":
      return isWhole(param)
        ? { value: BigInt(param), type: BIGINT }
        : { value: param, type: DOUBLE };
    case "bigint":
      return { value: param, type: BigInt.asIntN(64, param) === param ? BIGINT : HUGEINT };
  }
  if (param === null) return { value: null, type: SQLNULL };
  if (param instanceof Uint8Array) return { value: blobValue(param), type: BLOB };
  return { value: new DuckDBTimestampTZValue(dateMicros(param)), type: TIMESTAMPTZ };
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
