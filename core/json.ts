import canonicalize from "canonicalize";
import { quoted } from "./_quoted.ts";

/** A JSON value. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/**
 * The RFC 8785 canonical text of a JSON value: one text for each value, whatever the order of its
 * keys.
 *
 * @param value A JSON value with well-formed strings and finite numbers.
 * @returns Its canonical text.
 * @throws {TypeError} Where JSON has no form for the value.
 * @see {@link https://www.rfc-editor.org/rfc/rfc8785 | RFC 8785}
 *
 * @example Key order does not matter
 * ```ts
 * import { canonicalJson } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(canonicalJson({ b: 1, a: [-0] }), '{"a":[0],"b":1}');
 * ```
 */
export function canonicalJson(value: JsonValue): string {
  // For everything but objects and arrays, ECMAScript's own text is the canonical one.
  switch (typeof value) {
    case "string":
      if (value.isWellFormed()) return quoted(value);
      break;
    case "number":
      if (Number.isFinite(value)) return JSON.stringify(value);
      break;
    case "boolean":
      return value ? "true" : "false";
    default: {
      const text = canonicalText(value);
      if (text !== undefined) return text;
    }
  }
  throw new TypeError("Cannot canonicalise a value that JSON has no form for");
}

function canonicalText(value: JsonValue): string | undefined {
  try {
    return canonicalize(value);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`Cannot canonicalise a value: ${reason}`, { cause });
  }
}

/**
 * Compares two well-formed strings by code point. (`<` compares UTF-16 code units, which puts
 * U+1F600 before U+FF5E.)
 *
 * @param a One string.
 * @param b The other.
 * @returns Below 0 where `a` comes first, above 0 where `b` does, 0 where they are equal.
 *
 * @example Beyond the basic plane
 * ```ts
 * import { compareCodePoints } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(compareCodePoints("\u{1F600}", "\u{FF5E}") > 0);
 * ```
 */
export function compareCodePoints(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      // At the first difference a surrogate stands for a code point above every other unit.
      const xHigh = x >= 0xd800 && x <= 0xdfff;
      const yHigh = y >= 0xd800 && y <= 0xdfff;
      return xHigh === yHigh ? x - y : xHigh ? 1 : -1;
    }
  }
  return a.length - b.length;
}

/** How deep a JSON value may nest. Deeper ones are refused, so that no recursion can overflow. */
export const MAX_JSON_DEPTH = 500;

/**
 * Tells whether a value is plain JSON in the form the protocol takes: finite numbers, well-formed
 * strings and keys, at most {@linkcode MAX_JSON_DEPTH} levels.
 *
 * @param value Anything.
 * @returns Whether it is a {@linkcode JsonValue}.
 *
 * @example What JSON cannot say
 * ```ts
 * import { isJsonValue } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(isJsonValue({ tags: ["a", null] }));
 * assert(!isJsonValue(Number.NaN));
 * assert(!isJsonValue("\uD800"));
 * ```
 */
export function isJsonValue(value: unknown): value is JsonValue {
  return isJson(value, 0);
}

function isJson(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
      return value.isWellFormed();
    case "number":
      return Number.isFinite(value);
    case "boolean":
      return true;
    case "object": {
      if (value === null) return true;
      if (depth >= MAX_JSON_DEPTH) return false;
      if (Array.isArray(value)) {
        // Not every(), which passes over holes.
        for (let i = 0; i < value.length; i++) if (!isJson(value[i], depth + 1)) return false;
        return true;
      }
      const prototype = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) return false;
      return Object.entries(value).every(([key, item]) =>
        key.isWellFormed() && isJson(item, depth + 1)
      );
    }
    default:
      return false;
  }
}
