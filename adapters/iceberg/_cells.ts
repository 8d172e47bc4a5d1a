import {
  canonicalJson,
  type ColumnType,
  decodeBase64,
  encodeBase64,
  type JsonValue,
} from "@lakesync/core";

/** What a cell of a user's column is in a file. */
export type Cell = string | number | bigint | boolean | Uint8Array | null;

/**
 * A value on its way from the wire into a file.
 *
 * @throws {RangeError} Where the value is not in its type's wire form.
 */
export function toCell(type: ColumnType, value: Exclude<JsonValue, null>): Cell {
  switch (type) {
    case "string":
      if (typeof value === "string") return value;
      break;
    case "number":
      if (typeof value === "number") return value;
      break;
    case "boolean":
      if (typeof value === "boolean") return value;
      break;
    case "integer":
      if (typeof value === "number" || typeof value === "string") return BigInt(value);
      break;
    case "timestamp":
      if (typeof value === "string") return toMicros(value);
      break;
    case "bytes":
      if (typeof value === "string") return decodeBase64(value);
      break;
    case "json":
      return canonicalJson(value);
  }
  throw new RangeError(`a value of type ${type} is a ${typeof value}`);
}

/**
 * A value on its way from a file to the wire.
 *
 * @throws {RangeError} Where the cell is not what the type is stored as.
 */
export function toWire(type: ColumnType, cell: Cell): JsonValue {
  if (cell === null) return null;
  switch (type) {
    case "string":
      if (typeof cell === "string") return cell;
      break;
    case "number":
      if (typeof cell === "number") return cell;
      break;
    case "boolean":
      if (typeof cell === "boolean") return cell;
      break;
    case "integer":
      if (typeof cell === "bigint") {
        const value = Number(cell);
        return Number.isSafeInteger(value) ? value : String(cell);
      }
      break;
    case "timestamp":
      if (typeof cell === "bigint") return fromMicros(cell);
      break;
    case "bytes":
      if (cell instanceof Uint8Array) return encodeBase64(cell);
      break;
    case "json":
      if (typeof cell === "string") return JSON.parse(cell) as JsonValue;
      break;
  }
  throw new RangeError(`a cell of type ${type} is a ${typeof cell}`);
}

/** Microseconds since 1970 of `YYYY-MM-DDThh:mm:ss.ffffffZ`. */
function toMicros(text: string): bigint {
  const millis = Date.parse(`${text.slice(0, 23)}Z`);
  return BigInt(millis) * 1000n + BigInt(text.slice(23, 26));
}

/** The other way. */
function fromMicros(micros: bigint): string {
  const part = ((micros % 1000n) + 1000n) % 1000n;
  const millis = new Date(Number((micros - part) / 1000n)).toISOString();
  return `${millis.slice(0, -1)}${String(part).padStart(3, "0")}Z`;
}
