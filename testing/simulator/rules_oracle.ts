/**
 * PROTOCOL's section 5 read a second time, in another way than the product: rules are never resolved
 * into anything, each row is held to each filter as it was written.
 */
import type { Delta, JsonValue, RuleBucket, RuleFilter, Rules } from "@lakesync/core";
import { addDelta, type OracleRow, type OracleRows, visibleRow, type Written } from "./oracle.ts";
import { schemasOf } from "./tables.ts";

/** What a token says of its bearer. */
export type OracleClaims = { readonly [claim: string]: JsonValue };

/** Who looks, by which rules; undefined where there are none. */
export interface View {
  readonly rules: Rules | undefined;
  readonly claims: OracleClaims;
}

/** A row that shows, and where it stands. */
export interface PlacedRow {
  readonly table: string;
  readonly id: string;
  readonly row: OracleRow;
}

/** Whether somebody may see a row that shows. */
export function sees({ rules, claims }: View, place: PlacedRow): boolean {
  return rules === undefined || isLetBy(rules.buckets, claims, place);
}

/** The rows that somebody may see. */
export function rowsFor(view: View, rows: OracleRows): OracleRows {
  if (view.rules === undefined) return rows;
  const seen = new Map<string, Map<string, OracleRow>>();
  for (const [table, byId] of rows) {
    seen.set(table, new Map([...byId].filter(([id, row]) => sees(view, { table, id, row }))));
  }
  return seen;
}

/**
 * Why a transaction must not be written, by its delta's place and whether the author is only told
 * that there is no such row; undefined where it must be taken.
 */
export function writeFault(
  deltas: readonly Delta[],
  options: { view: View; bag: (table: string, id: string) => readonly Written[] },
): { readonly index: number; readonly isHidden: boolean } | undefined {
  const { rules, claims } = options.view;
  if (rules === undefined) return undefined;
  const buckets = rules.write ?? rules.buckets;
  const bags = new Map<string, Map<string, Written[]>>();
  const shows = (table: string, id: string): PlacedRow | undefined => {
    const row = visibleRow(bags.get(table)!.get(id)!);
    return row && { table, id, row };
  };
  const isForbidden = (place: PlacedRow | undefined): boolean =>
    place !== undefined && !isLetBy(buckets, claims, place);
  for (const [index, delta] of deltas.entries()) {
    const { table, rowId, op } = delta;
    const byId = bags.get(table) ?? new Map<string, Written[]>();
    bags.set(table, byId);
    const isFirst = !byId.has(rowId);
    if (isFirst) byId.set(rowId, [...options.bag(table, rowId)]);
    const before = shows(table, rowId);
    if (op !== "INSERT" && before === undefined) return { index, isHidden: true };
    if ((isFirst || op === "DELETE") && isForbidden(before)) {
      return { index, isHidden: isFirst && !sees(options.view, before!) };
    }
    addDelta(bags, delta);
  }
  for (const [index, { table, rowId }] of deltas.entries()) {
    if (isForbidden(shows(table, rowId))) return { index, isHidden: false };
  }
  return undefined;
}

/**
 * One text for all that come to the same filters: where it stays the same, nothing may change for
 * somebody. (Others may come to the same by chance; nothing is said of those.)
 */
export function viewText({ rules, claims }: View): string {
  if (rules === undefined) return "everything";
  const texts = schemasOf(2).map(({ table }) => {
    const buckets = rules.buckets.filter(({ tables }) => tables.includes(table)).map((bucket) => {
      const filters = (bucket.filters as readonly RuleFilter[]).map(({ column, op, value }) =>
        JSON.stringify([column, op, operandOf(value, claims) ?? null])
      );
      // One without filters lets all rows through, none at all lets none.
      return `[${filters.sort().join()}]`;
    });
    return `${table}: ${[...new Set(buckets)].sort().join(" or ")}`;
  });
  return texts.join("; ");
}

function isLetBy(
  buckets: readonly RuleBucket[],
  claims: OracleClaims,
  place: PlacedRow,
): boolean {
  return buckets.some(({ tables, filters }) =>
    tables.includes(place.table) &&
    (filters as readonly RuleFilter[]).every((filter) => passes(filter, claims, place))
  );
}

function passes(
  { column, op, value }: RuleFilter,
  claims: OracleClaims,
  { table, id, row }: PlacedRow,
): boolean {
  const held = column === "id" ? id : row.values.get(column);
  const operand = operandOf(value, claims);
  if (held === undefined || held === null || operand === undefined || operand === null) {
    return false;
  }
  if (Array.isArray(operand)) return (op === "eq" || op === "in") && operand.includes(held);
  // Nothing is coerced: another type matches nothing, not even as something else.
  if (!isOfType(operand, typeOf(table, column))) return false;
  switch (op) {
    case "eq":
    case "in":
      return held === operand;
    case "neq":
      return held !== operand;
    case "gt":
      return held > operand;
    case "gte":
      return held >= operand;
    case "lt":
      return held < operand;
    case "lte":
      return held <= operand;
  }
}

/** A literal as it is; of a claim what is found on its path. */
function operandOf(value: JsonValue, claims: OracleClaims): JsonValue | undefined {
  if (typeof value !== "string" || !value.startsWith("jwt:")) return value;
  let found: JsonValue | undefined = claims;
  for (const part of value.slice("jwt:".length).split(".")) {
    if (typeof found !== "object" || found === null || Array.isArray(found)) return undefined;
    found = (found as { readonly [name: string]: JsonValue })[part];
  }
  return found;
}

function typeOf(table: string, column: string): string {
  if (column === "id") return "string";
  const schema = schemasOf(2).find((schema) => schema.table === table)!;
  return schema.columns.find(({ name }) => name === column)!.type;
}

/** Of the types that rules here are about. */
function isOfType(value: JsonValue, type: string): boolean {
  return type === "integer" ? Number.isSafeInteger(value) : typeof value === "string";
}
