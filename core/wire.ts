import type { ColumnChange, Delta, DeltaOp } from "./delta.ts";
import type { ErrorCode, RejectionCode } from "./errors.ts";
import { type Hlc, isHlc } from "./hlc.ts";
import type { JsonValue } from "./json.ts";
import type { Register, RowState } from "./merge.ts";
import { type ColumnSchema, isIdentifier, type TableSchema } from "./schema.ts";
import { valueFault } from "./value.ts";

/** The body of a push. */
export interface PushRequest {
  /** The database that pushes. */
  readonly clientId: string;
  /** Its deltas; those of one transaction stand together. */
  readonly deltas: readonly Delta[];
  /** The greatest `version` among the client's tables. */
  readonly schemaVersion?: number;
}

/** A delta that a push rejected. */
export interface Rejection {
  /** Its place in the push, from 0. */
  readonly index: number;
  /** Its id as it was sent, or `""`. */
  readonly deltaId: string;
  /** Why. */
  readonly code: RejectionCode;
  /** Why, in words; never with row values. */
  readonly message: string;
}

/** The answer to a push. */
export interface PushAnswer {
  /** How many deltas were appended. */
  readonly accepted: number;
  /** How many were there already. */
  readonly duplicates: number;
  /** Those that were not appended. */
  readonly rejected: readonly Rejection[];
  /** The head of the log at that moment. */
  readonly seq: number;
  /** The gateway's clock. Never goes back. */
  readonly serverHlc: Hlc;
}

/** The parameters of a pull. */
export interface PullRequest {
  /** The database that asks. */
  readonly clientId: string;
  /** Where it stands; `""` is the very beginning. */
  readonly cursor: string;
  /** The most items. @default {1000} */
  readonly limit?: number;
  /** Only these tables. @default {undefined} all that the caller may see */
  readonly tables?: readonly string[];
  /** Hold the request so many seconds (at most 60) until there is an item. @default {0} */
  readonly wait?: number;
  /** `"ids"`: the caller's own deltas come as OWN items. @default {undefined} */
  readonly own?: "ids";
  /** The greatest `version` among the client's tables. */
  readonly schemaVersion?: number;
}

/** A delta of the caller's own, with `own=ids`. */
export interface OwnItem {
  /** Tells it from the other items. */
  readonly op: "OWN";
  /** The delta's id. */
  readonly deltaId: string;
  /** Its transaction, where there is one. */
  readonly txId?: string;
}

/** A row that died (`DELETE`) or that the rules now hide (`REMOVE`). It has no stamp. */
export interface GoneItem {
  /** Why it is gone. */
  readonly op: "DELETE" | "REMOVE";
  /** The row's table. */
  readonly table: string;
  /** The row's key. */
  readonly rowId: string;
  /** The transaction that did it, where there is one. */
  readonly txId?: string;
}

/** A row's visible state as it travels in a checkpoint line and in an ENTER. */
export interface CheckpointRow {
  /** The row's table. */
  readonly table: string;
  /** The row's key. */
  readonly rowId: string;
  /** Since when it lives: `[hlc, clientId]`. */
  readonly life: readonly [hlc: Hlc, clientId: string];
  /** Its visible columns. */
  readonly columns: { readonly [column: string]: Register };
}

/** A row that became visible: its state just after that transaction. */
export interface EnterItem extends CheckpointRow {
  /** Tells it from the other items. */
  readonly op: "ENTER";
  /** The transaction that did it, where there is one. */
  readonly txId?: string;
}

/** What a page carries. A delta has a stamp; a DELETE without one is a {@linkcode GoneItem}. */
export type PageItem = Delta | OwnItem | GoneItem | EnterItem;

/** The answer to a pull. */
export interface PullAnswer {
  /** The items, in the order of the log. */
  readonly deltas: readonly PageItem[];
  /** Where to go on. */
  readonly cursor: string;
  /** The log position that this page brings the caller to. */
  readonly seq: number;
  /** Whether there is more already. */
  readonly hasMore: boolean;
  /** The gateway's clock. Never goes back. */
  readonly serverHlc: Hlc;
}

/** The parameters of a checkpoint. */
export interface CheckpointRequest {
  /** The database that asks. */
  readonly clientId: string;
  /** Only these tables. @default {undefined} all that the caller may see */
  readonly tables?: readonly string[];
  /** The greatest `version` among the client's tables. */
  readonly schemaVersion?: number;
}

/** The first line of a checkpoint. */
export interface CheckpointHeader {
  /** What the checkpoint is. */
  readonly checkpoint: {
    /** The log position that it is of. */
    readonly seq: number;
    /** Where pulls go on. */
    readonly cursor: string;
    /** The tables that it covers. */
    readonly tables: readonly string[];
  };
}

/** The last line of a checkpoint. */
export interface CheckpointEnd {
  /** What tells a whole checkpoint from one that broke off. */
  readonly end: {
    /** How many rows came before. */
    readonly rows: number;
  };
}

/** The body of an error answer. */
export interface ErrorBody {
  /** The error. */
  readonly error: {
    /** What kind of failure it is. */
    readonly code: ErrorCode;
    /** What failed and the next step. */
    readonly message: string;
    /** The request it belongs to. */
    readonly requestId: string;
    /** Facts for programs. */
    readonly details?: { readonly [key: string]: JsonValue };
  };
}

/**
 * Tells a page's deltas from its other items.
 *
 * @param item An item of a page.
 * @returns Whether it is a stamped delta.
 *
 * @example A DELETE without a stamp is no delta
 * ```ts
 * import { isDelta } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(!isDelta({ op: "DELETE", table: "todos", rowId: "1" }));
 * ```
 */
export function isDelta(item: PageItem): item is Delta {
  return "hlc" in item;
}

/**
 * A visible row in the form in which checkpoints and ENTERs carry it.
 *
 * @param row The row; its state must be alive.
 * @returns The checkpoint row.
 * @throws {TypeError} Where the row is not alive.
 *
 * @example Encode a row
 * ```ts
 * import { emptyRow, encodeRow, mergeDelta } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const state = emptyRow();
 * mergeDelta(state, { op: "INSERT", hlc: "1", clientId: "a", columns: [{ column: "x", value: 1 }] });
 * assertEquals(encodeRow({ table: "t", rowId: "r", state }), {
 *   table: "t", rowId: "r", life: ["1", "a"], columns: { x: [1, "1", "a"] },
 * });
 * ```
 */
export function encodeRow(row: { table: string; rowId: string; state: RowState }): CheckpointRow {
  const { table, rowId, state } = row;
  if (state.life?.alive !== true) {
    throw new TypeError(`Cannot encode row "${rowId}": it is not alive`);
  }
  return {
    table,
    rowId,
    life: [state.life.hlc, state.life.clientId],
    // fromEntries defines own properties, so that a column named __proto__ is one too.
    columns: Object.fromEntries(state.columns),
  };
}

/**
 * The state that a checkpoint row or an ENTER carries.
 *
 * @param row A well-formed checkpoint row.
 * @returns Its state.
 *
 * @example Decode a row
 * ```ts
 * import { decodeRow, isVisible } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(isVisible(decodeRow({ table: "t", rowId: "r", life: ["1", "a"], columns: {} })));
 * ```
 */
export function decodeRow(row: CheckpointRow): RowState {
  return {
    life: { alive: true, hlc: row.life[0], clientId: row.life[1] },
    columns: new Map(Object.entries(row.columns)),
  };
}

/** A table with its columns by name, for {@linkcode deltaFault}. */
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
  const seen = new Set<string>();
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
    if (seen.has(name)) return { fault: `Column "${name}" is named twice` };
    seen.add(name);
    if (given === undefined) return { fault: `Column "${name}" has no value` };
    const fault = valueFault(column, given);
    if (fault !== undefined) return { fault: `Column "${name}" ${fault}` };
    // JSON can say −0, which is 0 (PROTOCOL, section 1).
    parsed.push({ column: name, value: given === 0 ? 0 : given as JsonValue });
  }
  if (op === "INSERT") {
    for (const name of index.required) {
      if (!seen.has(name)) return { fault: `An INSERT into "${table}" needs column "${name}"` };
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
