import type { JsonValue } from "./json.ts";
import {
  type ColumnSchema,
  type ColumnType,
  parseTableSchema,
  type TableSchema,
} from "./schema.ts";
import type { StandardValidator } from "./standard_schema.ts";

/**
 * A column as `defineTable` takes it. The type parameters are what an app reads, what it may write,
 * and whether it may be null.
 */
export interface Column<Read, Write, Nullable extends boolean = false> {
  /** The wire type. */
  readonly type: ColumnType;
  /** Whether it may be null or left out of an insert. */
  readonly isNullable: Nullable;
  /** Whether integers are given as `bigint` always. */
  readonly bigint: boolean;
  /** The same column, which may be null. */
  nullable(): Column<Read, Write, true>;
  /** Never set: carries the types. */
  readonly $types?: { read: Read; write: Write };
}

/** Columns by name. */
export type Columns = { readonly [name: string]: Column<unknown, unknown, boolean> };

/** A table that an app declared: its wire schema, and the types of its rows. */
export interface Table<Name extends string = string, Cols extends Columns = Columns> {
  /** The table's name. */
  readonly name: Name;
  /** Its columns as declared. */
  readonly columns: Cols;
  /** Its wire schema. */
  readonly schema: TableSchema;
  /** The columns of each index that devices keep. */
  readonly indexes: readonly (readonly string[])[];
  /** Judges rows that an app writes. */
  readonly validate: StandardValidator | undefined;
}

/** What an app reads from a column. */
export type ReadOf<C> = C extends Column<infer R, unknown, infer N>
  ? (N extends true ? R | null : R)
  : never;
/** What an app may write to a column. */
export type WriteOf<C> = C extends Column<unknown, infer W, infer N>
  ? (N extends true ? W | null : W)
  : never;

/** A row as an app reads it. */
export type RowOf<T> = T extends Table<string, infer Cols>
  ? { id: string } & { [K in keyof Cols]: ReadOf<Cols[K]> }
  : never;

/** What an insert takes: every NOT NULL column; `id` is made where it is left out. */
export type InsertOf<T> = T extends Table<string, infer Cols> ?
    & { id?: string }
    & {
      -readonly [K in keyof Cols as Cols[K] extends Column<unknown, unknown, true> ? never : K]:
        WriteOf<Cols[K]>;
    }
    & {
      -readonly [K in keyof Cols as Cols[K] extends Column<unknown, unknown, true> ? K : never]?:
        WriteOf<Cols[K]>;
    }
  : never;

/** What an update takes: any of the columns. */
export type UpdateOf<T> = T extends Table<string, infer Cols>
  ? { -readonly [K in keyof Cols]?: WriteOf<Cols[K]> }
  : never;

function column<Read, Write>(type: ColumnType, bigint = false): Column<Read, Write> {
  return make(type, false, bigint);
}

function make<Read, Write, N extends boolean>(
  type: ColumnType,
  isNullable: N,
  bigint: boolean,
): Column<Read, Write, N> {
  return { type, isNullable, bigint, nullable: () => make(type, true, bigint) };
}

/**
 * A column of text.
 *
 * @returns The column.
 *
 * @example Text that may be missing
 * ```ts
 * import { defineTable, string } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const notes = defineTable("notes", { text: string().nullable() });
 * assertEquals(notes.schema.columns, [{ name: "text", type: "string", nullable: true }]);
 * ```
 */
export function string(): Column<string, string> {
  return column("string");
}

/**
 * A column of floating-point numbers.
 *
 * @returns The column.
 *
 * @example A measurement
 * ```ts
 * import { defineTable, number } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(defineTable("points", { x: number() }).schema.columns[0]?.type, "number");
 * ```
 */
export function number(): Column<number, number> {
  return column("number");
}

/**
 * A column of whole numbers that stay within ±(2^53 − 1). For more, take {@linkcode bigint}.
 *
 * @returns The column.
 *
 * @example A counter
 * ```ts
 * import { defineTable, integer } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(defineTable("pages", { views: integer() }).schema.columns[0]?.type, "integer");
 * ```
 */
export function integer(): Column<number, number | bigint> {
  return column("integer");
}

/**
 * A column of whole numbers of 64 bits, read as `bigint`. On the wire it is an `integer`.
 *
 * @returns The column.
 *
 * @example An id from elsewhere
 * ```ts
 * import { bigint, defineTable } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(defineTable("posts", { snowflake: bigint() }).schema.columns[0]?.type, "integer");
 * ```
 */
export function bigint(): Column<bigint, number | bigint> {
  return column("integer", true);
}

/**
 * A column of true and false. SQL sees 1 and 0.
 *
 * @returns The column.
 *
 * @example A flag
 * ```ts
 * import { boolean, defineTable } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(defineTable("todos", { done: boolean() }).schema.columns[0]?.type, "boolean");
 * ```
 */
export function boolean(): Column<boolean, boolean> {
  return column("boolean");
}

/**
 * A column of points in time, read as `YYYY-MM-DDThh:mm:ss.ffffffZ`; takes that or a `Date`.
 *
 * @returns The column.
 *
 * @example A due date
 * ```ts
 * import { defineTable, timestamp } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(defineTable("todos", { due: timestamp() }).schema.columns[0]?.type, "timestamp");
 * ```
 */
export function timestamp(): Column<string, string | Date> {
  return column("timestamp");
}

/**
 * A column of bytes.
 *
 * @returns The column.
 *
 * @example A thumbnail
 * ```ts
 * import { bytes, defineTable } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(defineTable("photos", { thumb: bytes() }).schema.columns[0]?.type, "bytes");
 * ```
 */
export function bytes(): Column<Uint8Array, Uint8Array> {
  return column("bytes");
}

/**
 * A column of JSON, merged as one value. SQL sees its canonical text.
 *
 * @typeParam T The shape that the app knows it to have; it is not checked.
 * @returns The column.
 *
 * @example Tags
 * ```ts
 * import { defineTable, json } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(defineTable("todos", { tags: json<string[]>() }).schema.columns[0]?.type, "json");
 * ```
 */
export function json<T extends JsonValue = JsonValue>(): Column<T, T> {
  return column("json");
}

/**
 * Options of {@linkcode defineTable}.
 *
 * @typeParam Cols The columns.
 * @typeParam Schema The validator.
 */
export interface DefineTableOptions<
  Cols extends Columns = Columns,
  Schema extends StandardValidator = StandardValidator,
> {
  /**
   * The schema's version; raise it with each change.
   *
   * @default {1}
   */
  version?: number;
  /**
   * Indexes that devices keep, each by its columns in order. They are no part of the schema: change
   * them as you like.
   *
   * @default {[]} rows are found by `id` alone
   */
  indexes?: readonly (readonly (keyof Cols & string)[])[];
  /**
   * Judges rows that this app writes: a validator of the Standard Schema (zod, valibot, arktype, …). It
   * is given a whole row as it would be read, with `id` and with null for what is missing. A write
   * that it finds fault with fails; for an update only faults of the columns that change count, and
   * those without a path. What it makes of values is not used, and rows of others are not judged.
   *
   * @default {undefined} the columns' types alone
   */
  validate?: Schema & Fits<Cols, Schema>;
}

/**
 * Anything where a validator takes these rows, else nothing.
 *
 * @typeParam Cols The columns.
 * @typeParam Schema The validator.
 */
export type Fits<Cols extends Columns, Schema extends StandardValidator> =
  RowOf<Table<string, Cols>> extends NonNullable<Schema["~standard"]["types"]>["input"] ? unknown
    : never;

/**
 * Declares a table. Its rows' types follow from its columns.
 *
 * @param name The table's name, an identifier.
 * @param columns Its columns by name, identifiers other than `id`.
 * @param options The schema's version, indexes and a validator.
 * @returns The table.
 * @throws {TypeError} Where a name is not allowed, or an index has none of the columns.
 *
 * @example Declare a table
 * ```ts
 * import { boolean, defineTable, type RowOf, string } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const todos = defineTable("todos", { title: string(), done: boolean() });
 * const row: RowOf<typeof todos> = { id: "1", title: "Buy milk", done: false };
 * assertEquals(Object.keys(row), ["id", ...todos.schema.columns.map((column) => column.name)]);
 * ```
 *
 * @example A validator and an index
 * ```ts
 * import { boolean, defineTable, string } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 * import * as z from "zod";
 *
 * const todos = defineTable("todos", { title: string(), done: boolean() }, {
 *   validate: z.object({ title: z.string().min(1).max(200) }),
 *   indexes: [["done", "title"]],
 * });
 * assertEquals(todos.schema.columns.length, 2);
 * ```
 */
export function defineTable<
  const Name extends string,
  const Cols extends Columns,
  Schema extends StandardValidator = StandardValidator,
>(
  name: Name,
  columns: Cols,
  options: DefineTableOptions<Cols, Schema> = {},
): Table<Name, Cols> {
  const schema = parseTableSchema({
    table: name,
    version: options.version ?? 1,
    columns: Object.entries(columns).map(([column, { type, isNullable }]): ColumnSchema => ({
      name: column,
      type,
      ...(isNullable && { nullable: true }),
    })),
  }, `defineTable("${name}")`);
  if (!schema.ok) throw new TypeError(schema.error.message);
  const { indexes = [], validate } = options;
  for (const [i, index] of indexes.entries()) {
    const known = index.every((column) => Object.hasOwn(columns, column));
    if (index.length === 0 || !known || new Set(index).size < index.length) {
      throw new TypeError(
        `Cannot define table "${name}": indexes[${i}] must name columns of it, each once`,
      );
    }
  }
  return { name, columns, schema: schema.value, indexes, validate };
}
