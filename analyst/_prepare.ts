import type { Params } from "./_duckdb.ts";
import { name, text } from "./_sql.ts";
import { dateMicros, isList, isWhole } from "./_values.ts";
import type { QueryParam } from "./values.ts";

/**
 * A text's last statement, and what stands before it.
 *
 * @param offsets Where DuckDB's tokens begin, in bytes of UTF-8.
 */
export function lastStatement(
  sql: string,
  offsets: readonly number[],
): { readonly before: string; readonly last: string } {
  const bytes = new TextEncoder().encode(sql);
  const isEnd = (offset: number) => bytes[offset] === ";".charCodeAt(0);
  const tokens = [...offsets];
  while (tokens.length > 0 && isEnd(tokens.at(-1)!)) tokens.pop();
  const cut = tokens.findLast(isEnd);
  const decode = (part: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(part);
  if (cut === undefined) return { before: "", last: sql };
  return { before: decode(bytes.subarray(0, cut)), last: decode(bytes.subarray(cut + 1)) };
}

/** The statement that runs a prepared one. Its API binds no integers, times and bytes; SQL does. */
export function executeSql(prepared: string, params: Params): string {
  const list = isList(params)
    ? params.map(literal)
    : Object.entries(params).map(([param, value]) => `${name(param)} := ${literal(value)}`);
  return `EXECUTE ${name(prepared)}(${list.join(", ")})`;
}

function literal(param: QueryParam): string {
  switch (typeof param) {
    case "boolean":
      return String(param);
    case "string":
      // What ends a text in C is written by its bytes.
      return param.includes("\0")
        ? `decode(${blob(new TextEncoder().encode(param))})`
        : text(param);
    case "number":
      return isWhole(param) ? `${text(String(param))}::BIGINT` : double(param);
    case "bigint":
      return `${text(String(param))}::${BigInt.asIntN(64, param) === param ? "BIGINT" : "HUGEINT"}`;
  }
  if (param === null) return "NULL";
  if (param instanceof Uint8Array) return blob(param);
  return `make_timestamp(${dateMicros(param)})::TIMESTAMPTZ`;
}

function double(param: number): string {
  return `${text(Object.is(param, -0) ? "-0" : String(param))}::DOUBLE`;
}

function blob(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  return `from_hex('${hex.join("")}')`;
}
