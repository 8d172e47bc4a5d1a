/** A value for a parameter. A `Date` is a TIMESTAMPTZ, a `Uint8Array` a BLOB. */
export type QueryParam = null | boolean | number | bigint | string | Uint8Array | Date;

/**
 * A value of a result:
 *
 * - whole numbers are `number` where that is exact, else `bigint`;
 * - DOUBLE and FLOAT are `number`; DECIMAL is `number` up to 15 digits, else its text;
 * - TIMESTAMPTZ is `YYYY-MM-DDThh:mm:ss.ffffffZ`, TIMESTAMP the same without `Z`;
 * - BLOB is `Uint8Array`, VARCHAR and JSON are `string`;
 * - LIST and ARRAY are arrays, STRUCT an object without prototype, MAP a list of pairs;
 * - everything else (DATE, TIME, INTERVAL, UUID …) is its text as DuckDB writes it.
 */
export type QueryValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly QueryValue[]
  | { readonly [field: string]: QueryValue };

/** A row of a result by column name. Its prototype is null. A name that comes again gets `:1`, `:2` … */
export type QueryRow = { readonly [column: string]: QueryValue };

/** A column of a result. */
export interface QueryColumn {
  /** Its name, the key in each row. */
  readonly name: string;
  /** Its DuckDB type: `BIGINT`, `VARCHAR`, `STRUCT(a INTEGER)` … */
  readonly type: string;
}
