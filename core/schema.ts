import { LakeSyncError } from "./errors.ts";
import { err, ok, type Result } from "./result.ts";

/** The types a column can have (PROTOCOL, section 1). */
export type ColumnType =
  | "string"
  | "number"
  | "integer"
  | "boolean"
  | "timestamp"
  | "bytes"
  | "json";

const COLUMN_TYPES: ReadonlySet<string> = new Set<ColumnType>([
  "string",
  "number",
  "integer",
  "boolean",
  "timestamp",
  "bytes",
  "json",
]);

/** A column of a table. */
export interface ColumnSchema {
  /** An identifier, unique in its table ignoring case, never `id`. */
  readonly name: string;
  /** What its values are. */
  readonly type: ColumnType;
  /**
   * Whether it may be null or left out of an INSERT.
   *
   * @default {false}
   */
  readonly nullable?: boolean;
}

/** A table, in the form that travels on the wire. A row's key is its `rowId`, shown to SQL as `id`. */
export interface TableSchema {
  /** An identifier, unique in its gateway ignoring case, never `id`. */
  readonly table: string;
  /** Rises with each change, from 1. */
  readonly version: number;
  /** The columns, in the order in which they were declared. */
  readonly columns: readonly ColumnSchema[];
}

/**
 * Tells whether a text can name a table or a column: `^[A-Za-z_][A-Za-z0-9_]{0,62}$`.
 *
 * @param name Any text.
 * @returns Whether it is an identifier.
 *
 * @example Check names
 * ```ts
 * import { isIdentifier } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(isIdentifier("due_at"));
 * assert(!isIdentifier("due-at"));
 * ```
 */
export function isIdentifier(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(name);
}

/**
 * Reads a table schema from outside.
 *
 * @param value Anything, say a part of a request's JSON.
 * @param path Where it stands, for the message.
 * @returns A schema with only the known fields, or `VALIDATION_ERROR` that names the path of the
 * fault.
 *
 * @example A fault is named by its path
 * ```ts
 * import { parseTableSchema } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const parsed = parseTableSchema({ table: "todos", version: 1, columns: [{ name: "id", type: "string" }] }, "tables[0]");
 * assertEquals(parsed.ok, false);
 * if (!parsed.ok) assertEquals(parsed.error.message.startsWith("tables[0].columns[0].name"), true);
 * ```
 */
export function parseTableSchema(value: unknown, path: string): Result<TableSchema> {
  if (!isRecord(value)) return invalid(path, "is not an object");
  const { table, version, columns } = value;
  if (typeof table !== "string" || !isIdentifier(table)) {
    return invalid(
      `${path}.table`,
      "is not an identifier (a letter or _, then up to 62 letters, digits or _)",
    );
  }
  if (isKeyName(table)) {
    return invalid(`${path}.table`, '"id" is the name of the row\'s key, choose another name');
  }
  if (typeof version !== "number" || !Number.isSafeInteger(version) || version < 1) {
    return invalid(`${path}.version`, "is not a whole number from 1");
  }
  if (!Array.isArray(columns)) return invalid(`${path}.columns`, "is not a list");
  const names = new Set<string>();
  const parsed: ColumnSchema[] = [];
  for (const [i, column] of columns.entries()) {
    const at = `${path}.columns[${i}]`;
    if (!isRecord(column)) return invalid(at, "is not an object");
    const { name, type, nullable } = column;
    if (typeof name !== "string" || !isIdentifier(name)) {
      return invalid(
        `${at}.name`,
        "is not an identifier (a letter or _, then up to 62 letters, digits or _)",
      );
    }
    if (isKeyName(name)) {
      return invalid(`${at}.name`, '"id" is taken by the row\'s key, choose another name');
    }
    if (names.has(name.toLowerCase())) {
      return invalid(`${at}.name`, `"${name}" is there already (case does not count)`);
    }
    names.add(name.toLowerCase());
    if (typeof type !== "string" || !COLUMN_TYPES.has(type)) {
      return invalid(`${at}.type`, `is not one of ${[...COLUMN_TYPES].join(", ")}`);
    }
    if (nullable !== undefined && typeof nullable !== "boolean") {
      return invalid(`${at}.nullable`, "is neither true nor false");
    }
    parsed.push({ name, type: type as ColumnType, ...(nullable === true && { nullable: true }) });
  }
  return ok({ table, version, columns: parsed });
}

/**
 * Reads a set of table schemas from outside.
 *
 * @param value Anything, say the `tables` of a request.
 * @param path Where it stands, for the message.
 * @returns The schemas, or `VALIDATION_ERROR` that names the path of the fault.
 *
 * @example Read a set
 * ```ts
 * import { parseTableSchemas } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(parseTableSchemas([{ table: "todos", version: 1, columns: [] }], "tables").ok);
 * ```
 */
export function parseTableSchemas(value: unknown, path: string): Result<TableSchema[]> {
  if (!Array.isArray(value)) return invalid(path, "is not a list");
  const names = new Set<string>();
  const tables: TableSchema[] = [];
  for (const [i, item] of value.entries()) {
    const parsed = parseTableSchema(item, `${path}[${i}]`);
    if (!parsed.ok) return parsed;
    const name = parsed.value.table.toLowerCase();
    if (names.has(name)) {
      return invalid(
        `${path}[${i}].table`,
        `"${parsed.value.table}" is there already (case does not count)`,
      );
    }
    names.add(name);
    tables.push(parsed.value);
  }
  return ok(tables);
}

/**
 * Checks that one set of schemas may follow another: tables and nullable columns may be added and
 * NOT NULL may become nullable; nothing else.
 *
 * @param from The set in use.
 * @param to The set that is to replace it.
 * @returns Nothing, or `CONFLICT` that names what narrows.
 *
 * @example A column cannot change its type
 * ```ts
 * import { checkEvolution } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * const from = [{ table: "todos", version: 1, columns: [{ name: "done", type: "boolean" as const }] }];
 * const to = [{ table: "todos", version: 2, columns: [{ name: "done", type: "string" as const }] }];
 * assert(!checkEvolution(from, to).ok);
 * ```
 */
export function checkEvolution(
  from: readonly TableSchema[],
  to: readonly TableSchema[],
): Result<void> {
  const next = new Map(to.map((schema) => [schema.table, schema]));
  for (const old of from) {
    const schema = next.get(old.table);
    if (schema === undefined) {
      return conflict(`Table "${old.table}" is left out: a set of tables only grows, put it back`);
    }
    const fault = tableFault(old, schema);
    if (fault !== undefined) return conflict(`Table "${old.table}" cannot change so: ${fault}`);
  }
  return ok(undefined);
}

function tableFault(old: TableSchema, schema: TableSchema): string | undefined {
  const columns = new Map(schema.columns.map((column) => [column.name, column]));
  for (const was of old.columns) {
    const is = columns.get(was.name);
    if (is === undefined) return `column "${was.name}" is left out`;
    if (is.type !== was.type) return `column "${was.name}" is ${was.type} and stays so`;
    if (was.nullable === true && is.nullable !== true) return `column "${was.name}" stays nullable`;
    columns.delete(was.name);
  }
  for (const added of columns.values()) {
    if (added.nullable !== true) return `the new column "${added.name}" must be nullable`;
  }
  if (schema.version < old.version) return `version ${schema.version} is below ${old.version}`;
  return undefined;
}

function isKeyName(name: string): boolean {
  return name.toLowerCase() === "id";
}

function isRecord(value: unknown): value is { [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(path: string, reason: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", `${path} ${reason}`, { details: { path } }));
}

function conflict(message: string): Result<never> {
  return err(new LakeSyncError("CONFLICT", message));
}
