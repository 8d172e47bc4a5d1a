import { sha256Hex } from "./_sha256.ts";
import type { Hlc } from "./hlc.ts";
import { quoted } from "./_quoted.ts";
import { canonicalJson, compareCodePoints, type JsonValue } from "./json.ts";
import type { TableSchema } from "./schema.ts";

/** What a delta does to its row. */
export type DeltaOp = "INSERT" | "UPDATE" | "DELETE";

/** A column and the value it gets, in wire form. `null` is a value; an absent column is unchanged. */
export interface ColumnChange {
  /** The column's name. */
  readonly column: string;
  /** Its value, in the one JSON form of the column's type. */
  readonly value: JsonValue;
}

/** A stamped change of one row: the same in memory, on the wire and in the log (PROTOCOL, section 1). */
export interface Delta {
  /** INSERT carries all non-null columns, UPDATE only those that changed, DELETE none. */
  readonly op: DeltaOp;
  /** The table's name. */
  readonly table: string;
  /** The row's key, 1 to 256 bytes of UTF-8. */
  readonly rowId: string;
  /** The database that made it. */
  readonly clientId: string;
  /** The changed columns, each named once. */
  readonly columns: readonly ColumnChange[];
  /** When it was made. */
  readonly hlc: Hlc;
  /** Lower-case hex SHA-256 of its content, see {@linkcode deltaId}. */
  readonly deltaId: string;
  /** The transaction it belongs to, where there is one. */
  readonly txId?: string;
}

/** The part of a delta that its id is made from. */
export type DeltaContent = Omit<Delta, "deltaId" | "txId">;

/**
 * The RFC 8785 canonical text that a delta's id is the SHA-256 of: `{ clientId, columns, hlc, op,
 * rowId, table }`, columns sorted by name.
 *
 * @param delta The delta's content.
 * @returns The text.
 *
 * @example The order of columns does not matter
 * ```ts
 * import { deltaIdText } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const head = { op: "UPDATE", table: "t", rowId: "r", clientId: "c", hlc: "1" } as const;
 * const a = { column: "a", value: 1 };
 * const b = { column: "b", value: 2 };
 * assertEquals(deltaIdText({ ...head, columns: [b, a] }), deltaIdText({ ...head, columns: [a, b] }));
 * ```
 */
export function deltaIdText(delta: DeltaContent): string {
  const columns = delta.columns.length < 2
    ? delta.columns
    : [...delta.columns].sort((a, b) => compareCodePoints(a.column, b.column));
  // Keys stand in canonical order; strings and numbers of JSON.stringify are canonical as they are.
  let text = `{"clientId":${quoted(delta.clientId)},"columns":[`;
  for (let i = 0; i < columns.length; i++) {
    const { column, value } = columns[i]!;
    if (i > 0) text += ",";
    text += `{"column":${quoted(column)},"value":${canonicalJson(value)}}`;
  }
  return `${text}],"hlc":"${delta.hlc}","op":"${delta.op}","rowId":${quoted(delta.rowId)},"table":${
    quoted(delta.table)
  }}`;
}

/**
 * A delta's id: lower-case hex SHA-256 over {@linkcode deltaIdText}. Equal content, equal id.
 *
 * @param delta The delta's content.
 * @returns 64 hex digits.
 *
 * @example The id of a delta
 * ```ts
 * import { deltaId } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const id = deltaId({ op: "DELETE", table: "t", rowId: "r", clientId: "c", hlc: "1", columns: [] });
 * assertEquals(id.length, 64);
 * ```
 */
export function deltaId(delta: DeltaContent): string {
  return sha256Hex(deltaIdText(delta));
}

/** A row as `column → wire value`; a column that is absent is null. */
export type WireRow = ReadonlyMap<string, JsonValue>;

/** A change that has no stamp yet. */
export interface RowChange {
  /** What happens to the row. */
  readonly op: DeltaOp;
  /** The columns it carries. */
  readonly columns: readonly ColumnChange[];
}

/**
 * The change that leads from one state of a row to another.
 *
 * @param schema The row's table.
 * @param rows The row `before` and `after`; undefined where it does not exist.
 * @returns INSERT with all non-null columns, UPDATE with only those that changed (`json` by deep
 * equality), DELETE with none; undefined where nothing changed.
 *
 * @example Only what changed
 * ```ts
 * import { extractChange } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const schema = { table: "todos", version: 1, columns: [{ name: "title", type: "string" }, { name: "done", type: "boolean" }] } as const;
 * const before = new Map<string, string | boolean>([["title", "Milk"], ["done", false]]);
 * const after = new Map<string, string | boolean>([["title", "Milk"], ["done", true]]);
 * assertEquals(extractChange(schema, { before, after }), { op: "UPDATE", columns: [{ column: "done", value: true }] });
 * ```
 */
export function extractChange(
  schema: TableSchema,
  rows: { before: WireRow | undefined; after: WireRow | undefined },
): RowChange | undefined {
  const { before, after } = rows;
  if (after === undefined) return before === undefined ? undefined : { op: "DELETE", columns: [] };
  const columns: ColumnChange[] = [];
  for (const { name } of schema.columns) {
    const is = after.get(name) ?? null;
    const was = before?.get(name) ?? null;
    if (!sameValue(was, is)) columns.push({ column: name, value: is });
  }
  if (before === undefined) return { op: "INSERT", columns };
  return columns.length === 0 ? undefined : { op: "UPDATE", columns };
}

function sameValue(a: JsonValue, b: JsonValue): boolean {
  if (a === b) return true;
  return isContainer(a) && isContainer(b) && canonicalJson(a) === canonicalJson(b);
}

function isContainer(value: JsonValue): boolean {
  return typeof value === "object" && value !== null;
}
