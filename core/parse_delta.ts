import type { ColumnChange, Delta, DeltaOp } from "./delta.ts";
import { isHlc } from "./hlc.ts";
import type { JsonValue } from "./json.ts";
import { type ColumnSchema, isIdentifier, type TableSchema } from "./schema.ts";
import { valueFault } from "./value.ts";

/** A table with its columns by name, for {@linkcode parseDelta}. */
export interface TableIndex {
  /** The schema. */
  readonly schema: TableSchema;
  /** Its columns by name. */
  readonly columns: ReadonlyMap<string, ColumnSchema>;
  /** The columns that an INSERT must carry. */
  readonly required: readonly string[];
}

/**
 * Indexes schemas by table and column.
 *
 * @param tables The schemas.
 * @returns The index.
 *
 * @example Look up a column
 * ```ts
 * import { indexTables } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const index = indexTables([{ table: "t", version: 1, columns: [{ name: "x", type: "number" }] }]);
 * assertEquals(index.get("t")?.columns.get("x")?.type, "number");
 * ```
 */
export function indexTables(tables: readonly TableSchema[]): ReadonlyMap<string, TableIndex> {
  return new Map(tables.map((schema) => [schema.table, {
    schema,
    columns: new Map(schema.columns.map((column) => [column.name, column])),
    required: schema.columns.filter((column) => column.nullable !== true).map((column) =>
      column.name
    ),
  }]));
}

/** Either a delta of known form with only the known fields, or why it is none. */
export type ParsedDelta =
  | { readonly delta: Delta; readonly fault?: undefined }
  | { readonly delta?: undefined; readonly fault: string };

const OPS: ReadonlySet<unknown> = new Set<DeltaOp>(["INSERT", "UPDATE", "DELETE"]);

/**
 * Reads a delta from outside and checks it against its table's schema; whether its `deltaId` is
 * right, also in form, is seen when it is recomputed.
 *
 * @param value A parsed JSON value.
 * @param tables The schemas, indexed.
 * @returns The delta, or the fault in words without row values (a `SCHEMA_ERROR`).
 *
 * @example An unknown column is a fault
 * ```ts
 * import { indexTables, parseDelta } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const tables = indexTables([{ table: "t", version: 1, columns: [] }]);
 * const { fault } = parseDelta({
 *   op: "UPDATE", table: "t", rowId: "r", clientId: "c", hlc: "1", deltaId: "0".repeat(64),
 *   columns: [{ column: "x", value: 1 }],
 * }, tables);
 * assertEquals(fault, 'Column "x" is not in table "t"');
 * ```
 */
export function parseDelta(
  value: unknown,
  tables: ReadonlyMap<string, TableIndex>,
): ParsedDelta {
  if (!isRecord(value)) return { fault: "A delta must be an object" };
  const { op, table, rowId, clientId, columns, hlc, deltaId, txId } = value;
  if (!OPS.has(op)) return { fault: "op must be INSERT, UPDATE or DELETE" };
  if (typeof table !== "string") return { fault: "table must be a string" };
  if (!isRowId(rowId)) return { fault: "rowId must be a well-formed string of 1 to 256 bytes" };
  if (!isClientId(clientId)) {
    return { fault: "clientId must be a well-formed string of 1 to 1,024 bytes" };
  }
  if (!isHlc(hlc)) return { fault: "hlc must be a decimal string from 1 to 2^64 - 1" };
  if (typeof deltaId !== "string") return { fault: "deltaId must be a string" };
  if (txId !== undefined && !isRowId(txId)) {
    return { fault: "txId must be a well-formed string of 1 to 256 bytes" };
  }
  if (!Array.isArray(columns)) return { fault: "columns must be a list" };
  const index = tables.get(table);
  if (index === undefined) {
    return {
      fault: isIdentifier(table) ? `Table "${table}" has no schema` : "table must be an identifier",
    };
  }
  if (op === "DELETE" && columns.length > 0) return { fault: "A DELETE carries no columns" };
  const parsed: ColumnChange[] = [];
  // A few are looked through sooner than a set of them is made.
  const seen = columns.length > FEW_COLUMNS ? new Set<string>() : undefined;
  for (const item of columns) {
    if (!isRecord(item)) return { fault: "Each of columns must be an object" };
    const { column: name, value: given } = item;
    if (typeof name !== "string") return { fault: "column must be a string" };
    const column = index.columns.get(name);
    if (column === undefined) {
      return {
        fault: isIdentifier(name)
          ? `Column "${name}" is not in table "${table}"`
          : "column must be an identifier",
      };
    }
    if (seen?.has(name) ?? isAmong(parsed, name)) {
      return { fault: `Column "${name}" is named twice` };
    }
    seen?.add(name);
    if (given === undefined) return { fault: `Column "${name}" has no value` };
    const fault = valueFault(column, given);
    if (fault !== undefined) return { fault: `Column "${name}" ${fault}` };
    // JSON can say −0, which is 0 (PROTOCOL, section 1).
    parsed.push({ column: name, value: given === 0 ? 0 : given as JsonValue });
  }
  if (op === "INSERT") {
    for (const name of index.required) {
      if (!(seen?.has(name) ?? isAmong(parsed, name))) {
        return { fault: `An INSERT into "${table}" needs column "${name}"` };
      }
    }
  }
  return {
    delta: {
      op: op as DeltaOp,
      table,
      rowId,
      clientId,
      columns: parsed,
      hlc,
      deltaId,
      ...(txId !== undefined && { txId }),
    },
  };
}

/** So many columns are few. */
const FEW_COLUMNS = 16;

function isAmong(columns: readonly ColumnChange[], name: string): boolean {
  for (const { column } of columns) if (column === name) return true;
  return false;
}

/**
 * Tells whether a value can be a row's key: a well-formed string of 1 to 256 bytes of UTF-8.
 *
 * @param value Anything.
 * @returns Whether it can.
 *
 * @example Check keys
 * ```ts
 * import { isRowId } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(isRowId("ö".repeat(128)));
 * assert(!isRowId("ö".repeat(129)));
 * ```
 */
export function isRowId(value: unknown): value is string {
  return isShortText(value, 256);
}

/**
 * Tells whether a value can be a clientId: a well-formed string of 1 to 1,024 bytes of UTF-8.
 *
 * @param value Anything.
 * @returns Whether it can.
 *
 * @example Check clients
 * ```ts
 * import { isClientId } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(isClientId("alice:phone"));
 * assert(!isClientId(""));
 * ```
 */
export function isClientId(value: unknown): value is string {
  // Percent-encoding makes up to 9 characters of one: this leaves room for a subject and a device.
  return isShortText(value, 1024);
}

const encoder = new TextEncoder();

function isShortText(value: unknown, maxBytes: number): value is string {
  if (typeof value !== "string" || value.length === 0 || value.length > maxBytes) return false;
  // A UTF-16 unit takes at most 3 bytes: only long texts need counting.
  const surelyFits = value.length * 3 <= maxBytes;
  return value.isWellFormed() && (surelyFits || encoder.encode(value).length <= maxBytes);
}

function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
