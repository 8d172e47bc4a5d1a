import type { SqlRow, SqlValue } from "@lakesync/core";

/** SQL with its parameters, as the `compile()` of a query builder gives it. */
export interface CompiledSql {
  /** One SELECT, VALUES or WITH. */
  readonly sql: string;
  /** Values for its `?`. */
  readonly parameters: readonly unknown[];
}

/**
 * A query of a builder such as Kysely, which knows the type of its rows.
 *
 * @typeParam Row The shape of a row.
 */
export interface BuiltQuery<Row> {
  /** The query as SQL. */
  compile(): CompiledSql;
  /** Not called: tells the compiler what the rows are. */
  execute(): Promise<Row[]>;
}

/**
 * A query that was made by a builder, compiled or not. (Compiled, it has lost the type of its rows.)
 *
 * @typeParam Row The shape of a row.
 */
export type SqlQuery<Row = SqlRow> = BuiltQuery<Row> | CompiledSql;

/** The SQL and the parameters of a query. */
export function sqlOf(
  query: string | SqlQuery<unknown>,
  params: readonly SqlValue[],
): { sql: string; params: readonly SqlValue[] } {
  if (typeof query === "string") return { sql: query, params };
  const { sql, parameters } = "compile" in query ? query.compile() : query;
  return { sql, params: parameters.map(toParam) };
}

/** A parameter as SQLite takes it; it has no booleans. */
function toParam(value: unknown): SqlValue {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (value === null || value instanceof Uint8Array) return value;
  if (["number", "bigint", "string"].includes(typeof value)) return value as SqlValue;
  throw new TypeError(
    `Cannot take a parameter that is ${value === undefined ? "undefined" : "an object"}: ` +
      "give null, a number, a bigint, a boolean, a string or a Uint8Array",
  );
}
