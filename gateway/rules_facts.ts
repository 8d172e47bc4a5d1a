import { createHash } from "node:crypto";
import {
  canonicalJson,
  type JsonValue,
  type JudgedFacts,
  type ResolvedFilter,
  type RowFacts,
  type RowState,
} from "@lakesync/core";
import type { RulesInForce } from "./rules_registry.ts";
import { tableKey } from "./table_key.ts";

/** Longer values are found by their hash. */
const MAX_KEY_VALUE = 64;

/**
 * What rules look at in a row.
 *
 * @param state The row's state.
 * @param columns The columns.
 * @returns Their values; null counts as absent, as it does in rules.
 */
export function factsOf(state: RowState, columns: Iterable<string>): RowFacts {
  const facts: [string, JsonValue][] = [];
  for (const column of columns) {
    const value = state.columns.get(column)?.[0];
    if (value !== undefined && value !== null) facts.push([column, value]);
  }
  return facts;
}

/**
 * What an entry is found by: its table, and the values that rules compare, before and after it.
 *
 * @param row Its table and row.
 * @param judged What rules look at in the row.
 * @param inForce The rules.
 * @returns The keys, each once.
 */
export function entryKeys(
  row: { readonly table: string; readonly rowId: string },
  judged: JudgedFacts | undefined,
  inForce: RulesInForce,
): readonly string[] {
  const { table, rowId } = row;
  const columns = inForce.keys.get(table);
  if (columns === undefined) return [tableKey(table)];
  const keys = new Set([tableKey(table)]);
  if (columns.has("id")) keys.add(valueKey({ table, column: "id" }, rowId));
  for (const facts of [judged?.before, judged?.after]) {
    for (const [column, value] of facts ?? []) {
      if (columns.has(column)) keys.add(valueKey({ table, column }, value));
    }
  }
  return [...keys];
}

/**
 * The key of the entries in whose row a column has, or had, a value.
 *
 * @param place The column; no identifier has a dot.
 * @param value The value. Two values may share a key: entries are judged when they are found.
 * @returns The key.
 */
export function valueKey(
  place: { readonly table: string; readonly column: string },
  value: JsonValue,
): string {
  const text = typeof value === "string" ? value : canonicalJson(value);
  const short = text.length <= MAX_KEY_VALUE
    ? `=${text}`
    : `#${createHash("sha256").update(text).digest("base64url")}`;
  return `${place.table}.${place.column}${short}`;
}

/** Rows of which a caller wants the entries. */
export interface Wanted {
  /** Their table. */
  readonly table: string;
  /** What lets them through, before or after an entry. */
  readonly filters: readonly ResolvedFilter[];
  /** Only entries behind this seq are looked for. */
  readonly after: number;
}

/**
 * What the entries of rows are found by: the values of that filter which comes down to the fewest, or
 * else their table.
 *
 * @param wanted The rows.
 * @param inForce The rules.
 * @returns The keys. More entries are found by them than are wanted, never fewer.
 */
export function entriesFoundBy(wanted: Wanted, inForce: RulesInForce): readonly string[] {
  const { table, filters, after } = wanted;
  let fewest: readonly string[] = [tableKey(table)];
  let count = Infinity;
  for (const { column, op, values } of filters) {
    // Entries before the column became a key are not found by it.
    const since = inForce.keys.get(table)?.get(column) ?? Infinity;
    if (op !== "in" || values.length >= count || after < since) continue;
    count = values.length;
    fewest = values.map((value) => valueKey({ table, column }, value));
  }
  return fewest;
}

/** Whether what rules look at is the same before and after. */
export function sameFacts({ before, after }: JudgedFacts): boolean {
  return JSON.stringify(before) === JSON.stringify(after);
}
