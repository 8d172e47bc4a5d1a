import { compareCodePoints } from "@lakesync/core";
import {
  booleanBound,
  compareBytes,
  doubleBound,
  longBound,
  lowerBinaryBound,
  lowerTextBound,
  upperBinaryBound,
  upperTextBound,
} from "./bounds.ts";
import type { Cell } from "./_rows.ts";

/** The least and the greatest value of a column, and how many nulls it has. */
export interface Range {
  /** The least value; undefined where all are null. */
  readonly min: Exclude<Cell, null> | undefined;
  /** The greatest value. */
  readonly max: Exclude<Cell, null> | undefined;
  /** How many nulls. */
  readonly nulls: number;
}

/** The range of a user's column. */
export function cellRange(type: string, cells: readonly Cell[]): Range {
  switch (type) {
    case "string":
      return textRange(cells as readonly (string | null)[]);
    case "binary":
      return rangeOf(cells as readonly (Uint8Array | null)[], compareBytes);
    case "double":
      return rangeOf(cells as readonly (number | null)[], (a, b) => a - b);
    case "boolean":
      return rangeOf(cells as readonly (boolean | null)[], (a, b) => Number(a) - Number(b));
    default:
      return rangeOf(
        cells as readonly (bigint | null)[],
        (a, b) => a < b ? -1 : a > b ? 1 : 0,
      );
  }
}

/** The range of texts, by code point. */
export function textRange(texts: readonly (string | null)[]): Range {
  return rangeOf(texts, compareCodePoints);
}

function rangeOf<T extends Exclude<Cell, null>>(
  values: readonly (T | null)[],
  compare: (a: T, b: T) => number,
): Range {
  let min: T | undefined;
  let max: T | undefined;
  let nulls = 0;
  for (const value of values) {
    if (value === null) nulls++;
    else if (min === undefined || max === undefined) min = max = value;
    else if (value !== min && value !== max) {
      if (compare(value, min) < 0) min = value;
      else if (compare(value, max) > 0) max = value;
    }
  }
  return { min, max, nulls };
}

/** The range of one integer at least. */
export function bigintRange(values: BigInt64Array | readonly bigint[]): Range {
  let min = values[0]!;
  let max = min;
  for (let i = 1; i < values.length; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    else if (value > max) max = value;
  }
  return { min, max, nulls: 0 };
}

/** What no value is below, as Iceberg stores it. */
export function lowerBound(value: Exclude<Cell, null>): Uint8Array {
  return typeof value === "string"
    ? lowerTextBound(value)
    : value instanceof Uint8Array
    ? lowerBinaryBound(value)
    : exactBound(value);
}

/** What no value is above, as Iceberg stores it; undefined where there is no short one. */
export function upperBound(value: Exclude<Cell, null>): Uint8Array | undefined {
  return typeof value === "string"
    ? upperTextBound(value)
    : value instanceof Uint8Array
    ? upperBinaryBound(value)
    : exactBound(value);
}

function exactBound(value: number | bigint | boolean): Uint8Array {
  return typeof value === "bigint"
    ? longBound(value)
    : typeof value === "number"
    ? doubleBound(value)
    : booleanBound(value);
}
