import { type DataType, type Decimal, type Field, type Float, type Int, Type } from "apache-arrow";
import type { FixedSizeList, Timestamp } from "apache-arrow";
import { name } from "./_sql.ts";

/** DuckDB's name for the type of a column that comes as Arrow. */
export function columnType({ type, metadata }: Field): string {
  if (metadata.get("ARROW:extension:name") === "arrow.opaque") {
    const { type_name } = JSON.parse(metadata.get("ARROW:extension:metadata") ?? "{}") as {
      type_name?: string;
    };
    if (type_name !== undefined) return type_name.toUpperCase();
  }
  return typeName(type);
}

const INTEGERS: ReadonlyMap<number, string> = new Map([
  [8, "TINYINT"],
  [16, "SMALLINT"],
  [32, "INTEGER"],
  [64, "BIGINT"],
]);

/** By Arrow's units: seconds, milliseconds, microseconds, nanoseconds. */
const TIMESTAMPS = ["TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS"];

function typeName(type: DataType): string {
  const [first, second] = (type.children ?? []) as readonly Field[];
  switch (type.typeId) {
    case Type.Null:
      return "SQLNULL";
    case Type.Bool:
      return "BOOLEAN";
    case Type.Int: {
      const { isSigned, bitWidth } = type as Int;
      return `${isSigned ? "" : "U"}${INTEGERS.get(bitWidth)}`;
    }
    case Type.Float:
      return (type as Float).precision === 1 ? "FLOAT" : "DOUBLE";
    case Type.Decimal: {
      const { precision, scale } = type as Decimal;
      return precision === 38 && scale === 0 ? "HUGEINT" : `DECIMAL(${precision},${scale})`;
    }
    case Type.Utf8:
      return "VARCHAR";
    case Type.Binary:
      return "BLOB";
    case Type.Timestamp: {
      const { unit, timezone } = type as Timestamp;
      return (timezone ?? null) === null ? TIMESTAMPS[unit]! : "TIMESTAMP WITH TIME ZONE";
    }
    case Type.Date:
      return "DATE";
    case Type.Time:
      return "TIME";
    case Type.Interval:
      return "INTERVAL";
    case Type.List:
      return `${columnType(first!)}[]`;
    case Type.FixedSizeList:
      return `${columnType(first!)}[${(type as FixedSizeList).listSize}]`;
    case Type.Map: {
      const [key, value] = first!.type.children as readonly Field[];
      return `MAP(${columnType(key!)}, ${columnType(value!)})`;
    }
    case Type.Struct:
      return `STRUCT(${fieldsText(type)})`;
    case Type.Union:
      return `UNION(${fieldsText(type)})`;
    case Type.Dictionary:
      return "ENUM";
  }
  return second === undefined ? String(type) : `STRUCT(${fieldsText(type)})`;
}

function fieldsText(type: DataType): string {
  return (type.children as readonly Field[])
    .map((field) => `${name(field.name)} ${columnType(field)}`).join(", ");
}
