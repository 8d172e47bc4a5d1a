import { canonicalJson, compareCodePoints, type JsonValue } from "./json.ts";
import type { TableIndex } from "./parse_delta.ts";
import { isRuleJoin, type RuleBucket, type RuleFilter, type RuleJoin } from "./rules.ts";
import { claimAt, claimPath, type Claims } from "./rules_claim.ts";
import type { ColumnSchema, ColumnType } from "./schema.ts";
import { valueFault } from "./value.ts";

/** A filter with the caller's claims put in. It can match something: all values are of its type. */
export interface ResolvedFilter {
  /** The column, or `id` for the row's key. */
  readonly column: string;
  /** The column's type. */
  readonly type: ColumnType;
  /** How it is compared; `eq` has become `in`. */
  readonly op: "in" | "neq" | "gt" | "lt" | "gte" | "lte";
  /** What it is compared with, sorted and each once; for all but `in` just one. */
  readonly values: readonly JsonValue[];
  /** The same by {@linkcode comparable}. */
  readonly set: ReadonlySet<JsonValue>;
}

/** A join with the caller's claims put in. It matches nothing until {@linkcode bindJoins}. */
export interface ResolvedJoin extends Pick<RuleJoin, "column" | "table" | "select"> {
  /** The column's type. */
  readonly type: ColumnType;
  /** Which rows of the other table count. */
  readonly where: readonly ResolvedFilter[];
}

/** A bucket for one table with the caller's claims put in. */
export interface ResolvedBucket {
  /** The bucket's name. */
  readonly name: string;
  /** All of them must let a row through; sorted. */
  readonly filters: readonly ResolvedFilter[];
  /** And all of these. */
  readonly joins: readonly ResolvedJoin[];
}

/** What one caller's claims let it see or change. */
export interface ResolvedRules {
  /** The buckets of each table, of which one is enough; a table without buckets is not there. */
  readonly tables: ReadonlyMap<string, readonly ResolvedBucket[]>;
  /** One text for all rules and claims that come to the same filters. */
  readonly canonical: string;
}

/** Options of {@linkcode resolveRules}. */
export interface ResolveRulesOptions {
  /** The caller's claims. */
  readonly claims: Claims;
  /** The gateway's tables. */
  readonly tables: ReadonlyMap<string, TableIndex>;
}

/**
 * Puts a caller's claims into buckets. Buckets that can match nothing are left out: one whose claim
 * is missing, null or of the wrong type, or a list under an operator that takes none.
 *
 * @param buckets The buckets: those for reading or those for writing.
 * @param options The claims and the tables.
 * @returns What they come to.
 *
 * @example One's own rows
 * ```ts
 * import { indexTables, resolveRules } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const tables = indexTables([{ table: "t", version: 1, columns: [{ name: "owner", type: "string" }] }]);
 * const filters = [{ column: "owner", op: "eq" as const, value: "jwt:sub" }];
 * const buckets = [{ name: "own", tables: ["t"], filters }];
 * const { tables: resolved } = resolveRules(buckets, { claims: { sub: "alice" }, tables });
 * assertEquals(resolved.get("t")?.[0]?.filters[0]?.values, ["alice"]);
 * ```
 */
export function resolveRules(
  buckets: readonly RuleBucket[],
  options: ResolveRulesOptions,
): ResolvedRules {
  const resolved = new Map<string, ResolvedBucket[]>();
  for (const bucket of buckets) {
    for (const table of bucket.tables) {
      const held = resolveBucket(bucket, options.tables.get(table), options);
      if (held !== undefined) resolved.set(table, [...resolved.get(table) ?? [], held]);
    }
  }
  return canonicalRules(resolved);
}

/**
 * Turns joins into plain filters on the values that they select at one moment.
 *
 * @param rules Resolved rules.
 * @param select The values of a join's `select` in the rows that its `where` lets through.
 * @returns The rules without joins.
 *
 * @example Membership
 * ```ts
 * import { bindJoins, indexTables, resolveRules } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const tables = indexTables([
 *   { table: "tasks", version: 1, columns: [{ name: "project", type: "string" }] },
 *   { table: "members", version: 1, columns: [{ name: "project", type: "string" }] },
 * ]);
 * const join = { column: "project", op: "in", table: "members", select: "project", where: [] } as const;
 * const buckets = [{ name: "b", tables: ["tasks"], filters: [join] }];
 * const bound = bindJoins(resolveRules(buckets, { claims: {}, tables }), () => ["p2", "p1"]);
 * assertEquals(bound.tables.get("tasks")?.[0]?.filters[0]?.values, ["p1", "p2"]);
 * ```
 */
export function bindJoins(
  rules: ResolvedRules,
  select: (join: ResolvedJoin) => readonly JsonValue[],
): ResolvedRules {
  const bound = new Map<string, ResolvedBucket[]>();
  for (const [table, buckets] of rules.tables) {
    const held = buckets.flatMap((bucket): ResolvedBucket[] => {
      const filters = bucket.joins.map((join) => filterOf(join, "in", select(join)));
      if (filters.some((filter) => filter === undefined)) return [];
      const all = [...bucket.filters, ...filters as ResolvedFilter[]];
      return [{ name: bucket.name, filters: all, joins: [] }];
    });
    if (held.length > 0) bound.set(table, held);
  }
  return canonicalRules(bound);
}

/**
 * What two values of a type have in common exactly where they are equal: wire values have one form.
 *
 * @param type Their type.
 * @param value A value of it.
 * @returns A value to compare by `===`.
 *
 * @example JSON values are equal by their content
 * ```ts
 * import { comparable } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(comparable("json", { b: 1, a: 2 }), comparable("json", { a: 2, b: 1 }));
 * assertEquals(comparable("string", "a"), "a");
 * ```
 */
export function comparable(type: ColumnType, value: JsonValue): JsonValue {
  return type === "json" ? canonicalJson(value) : value;
}

function resolveBucket(
  bucket: RuleBucket,
  table: TableIndex | undefined,
  options: ResolveRulesOptions,
): ResolvedBucket | undefined {
  const filters: ResolvedFilter[] = [];
  const joins: ResolvedJoin[] = [];
  for (const filter of bucket.filters) {
    if (isRuleJoin(filter)) {
      const join = resolveJoin(filter, table, options);
      if (join === undefined) return undefined;
      joins.push(join);
    } else {
      const resolved = resolveFilter(filter, table, options);
      if (resolved === undefined) return undefined;
      filters.push(resolved);
    }
  }
  return { name: bucket.name, filters, joins };
}

function resolveFilter(
  filter: RuleFilter,
  table: TableIndex | undefined,
  options: ResolveRulesOptions,
): ResolvedFilter | undefined {
  const column = columnOf(table, filter.column);
  const path = claimPath(filter.value);
  const operand = path === undefined ? filter.value : claimAt(options.claims, path);
  if (column === undefined || operand === undefined) return undefined;
  const { op } = filter;
  if (!Array.isArray(operand)) {
    return filterOf({ column: column.name, type: column.type }, op === "eq" ? "in" : op, [operand]);
  }
  if (op !== "eq" && op !== "in") return undefined;
  return filterOf({ column: column.name, type: column.type }, "in", operand);
}

function resolveJoin(
  join: RuleJoin,
  table: TableIndex | undefined,
  options: ResolveRulesOptions,
): ResolvedJoin | undefined {
  const column = columnOf(table, join.column);
  if (column === undefined) return undefined;
  const where: ResolvedFilter[] = [];
  for (const filter of join.where) {
    const resolved = resolveFilter(filter, options.tables.get(join.table), options);
    if (resolved === undefined) return undefined;
    where.push(resolved);
  }
  return {
    column: column.name,
    type: column.type,
    table: join.table,
    select: join.select,
    where: sorted(where, canonicalFilter),
  };
}

/** A filter with those values that can match; undefined where none can. */
function filterOf(
  on: { readonly column: string; readonly type: ColumnType },
  op: ResolvedFilter["op"],
  operands: readonly JsonValue[],
): ResolvedFilter | undefined {
  const { column, type } = on;
  if (op !== "in" && op !== "neq" && !ORDERED.has(type)) return undefined;
  const held = new Map<JsonValue, JsonValue>();
  for (const value of operands) {
    if (valueFault({ name: column, type }, value) === undefined) {
      held.set(comparable(type, value), value);
    }
  }
  if (held.size === 0) return undefined;
  return {
    column,
    type,
    op,
    values: sorted([...held.values()], canonicalJson),
    set: new Set(held.keys()),
  };
}

/** The types that have an order. */
const ORDERED: ReadonlySet<ColumnType> = new Set<ColumnType>([
  "string",
  "number",
  "integer",
  "timestamp",
]);

function columnOf(table: TableIndex | undefined, name: string): ColumnSchema | undefined {
  return name === "id" ? { name, type: "string" } : table?.columns.get(name);
}

/** Sorts what has no order of its own, and leaves out what stands there twice or is covered. */
function canonicalRules(tables: ReadonlyMap<string, readonly ResolvedBucket[]>): ResolvedRules {
  const names = [...tables.keys()].sort(compareCodePoints);
  const texts: JsonValue[] = [];
  const resolved = new Map<string, readonly ResolvedBucket[]>();
  for (const name of names) {
    const byText = new Map<string, ResolvedBucket>();
    for (const bucket of tables.get(name)!) {
      const filters = distinct(bucket.filters, canonicalFilter);
      const joins = distinct(bucket.joins, canonicalJoin);
      const text = `${filters.map(canonicalFilter).join()};${joins.map(canonicalJoin).join()}`;
      if (!byText.has(text)) byText.set(text, { name: bucket.name, filters, joins });
    }
    // What lets every row through makes the others needless.
    const all = byText.get(";");
    const kept = all === undefined ? [...byText.keys()].sort(compareCodePoints) : [";"];
    resolved.set(name, kept.map((text) => byText.get(text)!));
    texts.push([name, kept]);
  }
  return { tables: resolved, canonical: canonicalJson(texts) };
}

function canonicalFilter({ column, op, values }: ResolvedFilter): string {
  return canonicalJson([column, op, values]);
}

function canonicalJoin({ column, table, select, where }: ResolvedJoin): string {
  return canonicalJson([column, table, select, where.map(canonicalFilter)]);
}

function sorted<T>(items: readonly T[], text: (item: T) => string): T[] {
  return [...items].sort((a, b) => compareCodePoints(text(a), text(b)));
}

function distinct<T>(items: readonly T[], text: (item: T) => string): T[] {
  return sorted([...new Map(items.map((item) => [text(item), item])).values()], text);
}
