import type { JsonValue } from "./json.ts";

/** How a filter compares a column with its value (PROTOCOL, section 5). */
export type RuleOp = "eq" | "neq" | "in" | "gt" | "lt" | "gte" | "lte";

/** A condition on one column of a row. */
export interface RuleFilter {
  /** The column, or `id` for the row's key. */
  readonly column: string;
  /** How it is compared. */
  readonly op: RuleOp;
  /** A literal in its column's wire form, a list of such, or `"jwt:<claim>"`. */
  readonly value: JsonValue;
}

/**
 * A condition that looks one step into another table: the column has one of the values that `select`
 * has in the rows of `table` that `where` lets through.
 */
export interface RuleJoin {
  /** The column, or `id` for the row's key. */
  readonly column: string;
  /** A join is always membership. */
  readonly op: "in";
  /** The other table. */
  readonly table: string;
  /** Its column, or `id`. */
  readonly select: string;
  /** Which of its rows count: those that all of these let through. */
  readonly where: readonly RuleFilter[];
}

/**
 * What the rejection of an UPDATE or a DELETE says where the row is not alive, or where the caller may
 * not see it. The author of such a DELETE counts it as done.
 */
export const NO_SUCH_ROW = "There is no such row: pull, or insert it first";

/** Rows that go together: those of these tables that every filter lets through. */
export interface RuleBucket {
  /** Names it in messages; unique among the buckets. */
  readonly name: string;
  /** The tables that it covers. */
  readonly tables: readonly string[];
  /** All of them must let a row through. */
  readonly filters: readonly (RuleFilter | RuleJoin)[];
}

/** Who may see and change what (PROTOCOL, section 5). One bucket that lets a row through is enough. */
export interface Rules {
  /** The operator's own count of changes, a whole number from 0. */
  readonly version: number;
  /** What may be seen. A table in none of them is seen by nobody. */
  readonly buckets: readonly RuleBucket[];
  /**
   * What may be changed.
   *
   * @default {undefined} what may be seen
   */
  readonly write?: readonly RuleBucket[];
}

/**
 * Tells a filter that looks into another table from one that does not.
 *
 * @param filter A filter of a bucket.
 * @returns Whether it is a join.
 *
 * @example Members of a project see its tasks
 * ```ts
 * import { isRuleJoin } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * const where = [{ column: "user_id", op: "eq" as const, value: "jwt:sub" }];
 * assert(isRuleJoin({ column: "project_id", op: "in", table: "members", select: "project_id", where }));
 * assert(!isRuleJoin({ column: "owner", op: "eq", value: "jwt:sub" }));
 * ```
 */
export function isRuleJoin(filter: RuleFilter | RuleJoin): filter is RuleJoin {
  return "where" in filter;
}
