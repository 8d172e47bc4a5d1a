import type { Params } from "./_duckdb.ts";
import type { QueryParam } from "./values.ts";

/** A whole number: a `number` where that is exact. */
export function wholeNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** A decimal: a `number` up to 15 digits. */
export function decimalValue(text: string): number | string {
  const digits = text.replace(/[-.]/g, "").replace(/^0+/, "");
  return digits.length <= 15 ? Number(text) : text;
}

/** Microseconds since 1970 as `YYYY-MM-DDThh:mm:ss.ffffff`; undefined where `Date` does not reach. */
export function timestampText(micros: bigint): string | undefined {
  const rest = ((micros % 1000n) + 1000n) % 1000n;
  const date = new Date(Number((micros - rest) / 1000n));
  if (Number.isNaN(date.getTime())) return undefined;
  return date.toISOString().slice(0, -1) + rest.toString().padStart(3, "0");
}

/** What a `Date` is as a parameter, in microseconds since 1970. Throws a `TypeError` for an invalid one. */
export function dateMicros(date: Date): bigint {
  if (Number.isNaN(date.getTime())) {
    throw new TypeError("Cannot bind a parameter: the date is invalid");
  }
  return BigInt(date.getTime()) * 1000n;
}

/** Whether a number is bound as a BIGINT; else it is a DOUBLE. */
export function isWhole(param: QueryParam & number): boolean {
  return Number.isSafeInteger(param) && !Object.is(param, -0);
}

/** Whether parameters are a list. (`Array.isArray` alone does not narrow a readonly one.) */
export function isList(params: Params): params is readonly QueryParam[] {
  return Array.isArray(params);
}

/** Throws a `TypeError` where a parameter can have no value. */
export function checkParams(params: Params): void {
  for (const param of isList(params) ? params : Object.values(params)) {
    if (param instanceof Date) dateMicros(param);
  }
}
