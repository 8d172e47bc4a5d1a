import { compareCodePoints, type JsonValue } from "./json.ts";
import type { RowFacts } from "./ports.ts";
import { comparable, type ResolvedFilter, type ResolvedRules } from "./rules_resolve.ts";

/** A row as rules look at it. */
export interface JudgedRow {
  /** Its table. */
  readonly table: string;
  /** Its key. */
  readonly rowId: string;
  /** Its columns, at least those that the rules name; what is left out is absent. */
  readonly facts: RowFacts;
}

/** Why a row is not let through. */
export interface RuleRefusal {
  /** The bucket that came nearest to letting it through; undefined where none is for its table. */
  readonly bucket: string | undefined;
  /** The first column there that stood in the way. */
  readonly column: string | undefined;
}

/**
 * Judges a row. Null and absent columns match nothing, whatever the operator.
 *
 * @param rules What a caller may see or change.
 * @param row The row.
 * @returns Whether one of its table's buckets lets it through.
 *
 * @example One's own rows
 * ```ts
 * import { indexTables, matchesRow, resolveRules } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * const tables = indexTables([{ table: "t", version: 1, columns: [{ name: "owner", type: "string" }] }]);
 * const filters = [{ column: "owner", op: "eq" as const, value: "jwt:sub" }];
 * const buckets = [{ name: "own", tables: ["t"], filters }];
 * const rules = resolveRules(buckets, { claims: { sub: "alice" }, tables });
 * assert(matchesRow(rules, { table: "t", rowId: "1", facts: [["owner", "alice"]] }));
 * assert(!matchesRow(rules, { table: "t", rowId: "2", facts: [] }));
 * ```
 */
export function matchesRow(rules: ResolvedRules, row: JudgedRow): boolean {
  for (const { filters, joins } of rules.tables.get(row.table) ?? []) {
    if (joins.length === 0 && matchesAll(filters, row)) return true;
  }
  return false;
}

/**
 * Judges a row by filters alone.
 *
 * @param filters Filters for the row's table.
 * @param row The row.
 * @returns Whether all of them let it through.
 *
 * @example No filter lets everything through
 * ```ts
 * import { matchesAll } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(matchesAll([], { table: "t", rowId: "1", facts: [] }));
 * ```
 */
export function matchesAll(filters: readonly ResolvedFilter[], row: JudgedRow): boolean {
  return filters.every((filter) => matchesFilter(filter, row));
}

/**
 * Finds out why a row is not let through, for messages.
 *
 * @param rules What a caller may see or change.
 * @param row The row.
 * @returns The rule and the column, never a value; undefined where it is let through.
 *
 * @example The column that stands in the way
 * ```ts
 * import { explainRefusal, indexTables, resolveRules } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const tables = indexTables([{ table: "t", version: 1, columns: [{ name: "owner", type: "string" }] }]);
 * const filters = [{ column: "owner", op: "eq" as const, value: "jwt:sub" }];
 * const buckets = [{ name: "own", tables: ["t"], filters }];
 * const rules = resolveRules(buckets, { claims: { sub: "alice" }, tables });
 * const row = { table: "t", rowId: "1", facts: [["owner", "bob"]] as const };
 * assertEquals(explainRefusal(rules, row), { bucket: "own", column: "owner" });
 * ```
 */
export function explainRefusal(rules: ResolvedRules, row: JudgedRow): RuleRefusal | undefined {
  if (matchesRow(rules, row)) return undefined;
  let nearest: RuleRefusal = { bucket: undefined, column: undefined };
  let fewest = Infinity;
  for (const { name, filters, joins } of rules.tables.get(row.table) ?? []) {
    const failed = [...filters.filter((filter) => !matchesFilter(filter, row)), ...joins];
    if (failed.length >= fewest) continue;
    fewest = failed.length;
    nearest = { bucket: name, column: failed[0]!.column };
  }
  return nearest;
}

function matchesFilter(filter: ResolvedFilter, row: JudgedRow): boolean {
  const { column, type, op, values, set } = filter;
  const value = column === "id" ? row.rowId : factOf(row.facts, column);
  if (value === undefined || value === null) return false;
  if (op === "in") return set.has(comparable(type, value));
  if (op === "neq") return !set.has(comparable(type, value));
  const order = compareValues(filter, value, values[0]!);
  switch (op) {
    case "gt":
      return order > 0;
    case "gte":
      return order >= 0;
    case "lt":
      return order < 0;
    case "lte":
      return order <= 0;
  }
}

function factOf(facts: RowFacts, column: string): JsonValue | undefined {
  for (const [name, value] of facts) if (name === column) return value;
  return undefined;
}

/** Compares two values of a type that has an order. */
function compareValues({ type }: ResolvedFilter, a: JsonValue, b: JsonValue): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (type === "integer") {
    const [x, y] = [BigInt(a as string | number), BigInt(b as string | number)];
    return x < y ? -1 : x > y ? 1 : 0;
  }
  // A timestamp's one form has the order of its times.
  return compareCodePoints(a as string, b as string);
}
