import type { ColumnSchema } from "./schema.ts";
import { isJsonValue, type JsonValue } from "./json.ts";

const NOT_BASE64 = /[^A-Za-z0-9+/]/;
// The letters that carry no stray bits before one and before two signs of padding.
const LAST_BEFORE_1 = "AEIMQUYcgkosw048";
const LAST_BEFORE_2 = "AQgw";
const TIMESTAMP =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/;
const INTEGER_TEXT = /^-?[1-9][0-9]{0,18}$/;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

/**
 * Tells why a value is not in the one JSON form of its column's type (PROTOCOL, section 1).
 *
 * @param column The column.
 * @param value A parsed JSON value.
 * @returns The reason, without the value itself; undefined where the value is well-formed.
 *
 * @example One form for each value
 * ```ts
 * import { valueFault } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const column = { name: "n", type: "integer" } as const;
 * assertEquals(valueFault(column, 42), undefined);
 * assertEquals(valueFault(column, "9007199254740993"), undefined);
 * assertEquals(valueFault(column, "42"), "is not an integer in its one form");
 * ```
 */
export function valueFault(column: ColumnSchema, value: unknown): string | undefined {
  if (value === null) return column.nullable === true ? undefined : "must not be null";
  switch (column.type) {
    case "string":
      return typeof value === "string" && value.isWellFormed()
        ? undefined
        : "is not a well-formed string";
    case "number":
      return typeof value === "number" && Number.isFinite(value)
        ? undefined
        : "is not a finite number";
    case "integer":
      return isIntegerForm(value) ? undefined : "is not an integer in its one form";
    case "boolean":
      return typeof value === "boolean" ? undefined : "is neither true nor false";
    case "timestamp":
      return isTimestampForm(value) ? undefined : "is not a time YYYY-MM-DDThh:mm:ss.ffffffZ";
    case "bytes":
      return isBase64Form(value) ? undefined : "is not canonical padded base64";
    case "json":
      return isJsonValue(value) ? undefined : "is not plain JSON";
  }
}

function isIntegerForm(value: unknown): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value);
  if (typeof value !== "string" || !INTEGER_TEXT.test(value)) return false;
  // A safe integer's one form is the number.
  if (Number.isSafeInteger(Number(value))) return false;
  const integer = BigInt(value);
  return integer >= MIN_INT64 && integer <= MAX_INT64;
}

function isTimestampForm(value: unknown): boolean {
  if (typeof value !== "string" || !TIMESTAMP.test(value)) return false;
  const day = Number(value.slice(8, 10));
  return day <= 28 || day <= daysInMonth(Number(value.slice(0, 4)), Number(value.slice(5, 7)));
}

// By arithmetic: Date costs nine times as much, and every delta comes by here.
function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function isBase64Form(value: unknown): boolean {
  if (typeof value !== "string" || value.length % 4 !== 0) return false;
  const padding = value.endsWith("==") ? 2 : value.endsWith("=") ? 1 : 0;
  // A search cannot backtrack; one pattern for the whole form overflows on megabytes.
  if (NOT_BASE64.test(value.slice(0, value.length - padding))) return false;
  if (padding === 0) return true;
  return (padding === 1 ? LAST_BEFORE_1 : LAST_BEFORE_2).includes(value.at(-padding - 1)!);
}

/** What a column's value is in an app: `null`, or the type that its builder names. */
export type AppValue = string | number | bigint | boolean | null | Uint8Array | Date | JsonValue;

/**
 * Turns a value as an app holds it into its wire form.
 *
 * @param column The column.
 * @param value What the app gave: also a `bigint` or a `Date`, where the type has a place for it.
 * @returns The wire form. What does not fit the type comes back as it is, for
 * {@linkcode valueFault} to name.
 *
 * @example A date becomes a timestamp with six decimals
 * ```ts
 * import { toWire } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(toWire({ name: "at", type: "timestamp" }, new Date(0)), "1970-01-01T00:00:00.000000Z");
 * assertEquals(toWire({ name: "b", type: "bytes" }, new Uint8Array([255])), "/w==");
 * ```
 */
export function toWire(column: ColumnSchema, value: unknown): unknown {
  if (value === undefined) return null;
  switch (column.type) {
    case "number":
      return value === 0 ? 0 : value; // −0 is 0
    case "integer":
      if (typeof value === "bigint") {
        const number = Number(value);
        return Number.isSafeInteger(number) ? number : value.toString();
      }
      return value === 0 ? 0 : value;
    case "timestamp":
      return value instanceof Date && !Number.isNaN(value.getTime())
        ? value.toISOString().replace("Z", "000Z")
        : value;
    case "bytes":
      return value instanceof Uint8Array ? encodeBase64(value) : value;
    default:
      return value;
  }
}

/** Options of {@linkcode fromWire}. */
export interface FromWireOptions {
  /**
   * Give every `integer` as `bigint`, not only those that no `number` holds exactly.
   *
   * @default {false}
   */
  bigint?: boolean;
}

/**
 * Turns a wire value into the form that an app holds.
 *
 * @param column The column.
 * @param value A well-formed wire value.
 * @param options How integers come out.
 * @returns `Uint8Array` for `bytes`; `number` or, beyond the safe range, `bigint` for `integer`; the
 * wire value itself for the other types.
 *
 * @example Bytes
 * ```ts
 * import { fromWire } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(fromWire({ name: "b", type: "bytes" }, "/w=="), new Uint8Array([255]));
 * ```
 */
export function fromWire(
  column: ColumnSchema,
  value: JsonValue,
  options: FromWireOptions = {},
): AppValue {
  if (value === null) return null;
  if (column.type === "bytes") return decodeBase64(value as string);
  if (column.type === "integer" && (options.bigint === true || typeof value === "string")) {
    return BigInt(value as string | number);
  }
  return value;
}

/**
 * Encodes bytes as canonical padded base64.
 *
 * @param bytes The bytes.
 * @returns Their base64 text.
 *
 * @example Encode
 * ```ts
 * import { encodeBase64 } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeBase64(new Uint8Array([1, 2])), "AQI=");
 * ```
 */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = "";
  // In slices: a long argument list overflows the stack.
  for (let i = 0; i < bytes.length; i += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  }
  return btoa(binary);
}

/**
 * Decodes base64.
 *
 * @param text Well-formed base64.
 * @returns Its bytes.
 *
 * @example Decode
 * ```ts
 * import { decodeBase64 } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(decodeBase64("AQI="), new Uint8Array([1, 2]));
 * ```
 */
export function decodeBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
