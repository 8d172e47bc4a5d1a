/**
 * JSON whose 64-bit integers stay exact: `JSON.parse` alone rounds snapshot ids.
 *
 * @see {@link https://github.com/tc39/proposal-json-parse-with-source | JSON.parse source text access}
 */

/** A JSON value in which an integer that no `number` holds exactly is a `bigint`. */
export type Json64 =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly Json64[]
  | { readonly [key: string]: Json64 };

type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown;

const json = JSON as unknown as {
  parse(text: string, reviver: Reviver): unknown;
  rawJSON(text: string): object;
};

/**
 * Parses a text.
 *
 * @throws {SyntaxError} Where it is no JSON.
 */
export function parseJson64(text: string): Json64 {
  return json.parse(text, (_key, value, context) => {
    const exact = typeof value !== "number" || Number.isSafeInteger(value);
    const source = context?.source;
    if (exact || source === undefined || !/^-?\d+$/.test(source)) return value;
    return BigInt(source);
  }) as Json64;
}

/** The text of a value; a `bigint` is written as a number. */
export function stringifyJson64(value: Json64): string {
  return JSON.stringify(
    value,
    (_key, item: unknown) => typeof item === "bigint" ? json.rawJSON(item.toString()) : item,
  );
}
