import type { SqlRow, SqlValue } from "@lakesync/core";
import type { RowChanges } from "./live_query.ts";

/** A result that follows on another. */
export interface NextResult {
  /** Its rows; those that did not change are the objects of before. */
  readonly rows: SqlRow[];
  /** What is different; undefined where nothing is. */
  readonly changes: RowChanges<SqlRow> | undefined;
}

/**
 * Compares a result with the one before: by `id`, where both have that column and no value of it
 * twice, else by whole rows.
 */
export function nextResult(before: readonly SqlRow[], after: readonly SqlRow[]): NextResult {
  const byId = before.length === 0 ? undefined : indexById(before);
  const ids = byId && indexById(after);
  return byId === undefined || ids === undefined
    ? compareWhole(before, after)
    : compareById(before, after, byId);
}

function compareById(
  before: readonly SqlRow[],
  after: readonly SqlRow[],
  byId: Map<SqlValue, SqlRow>,
): NextResult {
  const added: SqlRow[] = [];
  const changed: SqlRow[] = [];
  let moved = before.length !== after.length;
  const rows = after.map((row, i) => {
    const old = byId.get(row.id!);
    if (old === undefined) added.push(row);
    else {
      byId.delete(row.id!);
      if (sameRow(old, row)) {
        moved ||= old !== before[i];
        return old;
      }
      changed.push(row);
    }
    return row;
  });
  const removed = [...byId.values()];
  const same = !moved && added.length + changed.length + removed.length === 0;
  return { rows, changes: same ? undefined : { added, changed, removed } };
}

/** Without ids a changed row is one that went and one that came. */
function compareWhole(before: readonly SqlRow[], after: readonly SqlRow[]): NextResult {
  const byText = new Map<string, SqlRow[]>();
  for (const row of before) {
    const text = rowText(row);
    const rows = byText.get(text);
    if (rows === undefined) byText.set(text, [row]);
    else rows.push(row);
  }
  const added: SqlRow[] = [];
  let moved = before.length !== after.length;
  const rows = after.map((row, i) => {
    const old = byText.get(rowText(row))?.shift();
    if (old === undefined) added.push(row);
    moved ||= old !== before[i];
    return old ?? row;
  });
  const removed = [...byText.values()].flat();
  return { rows, changes: moved ? { added, changed: [], removed } : undefined };
}

/** Rows by id; undefined where that is not one of their columns, or not unique. */
function indexById(rows: readonly SqlRow[]): Map<SqlValue, SqlRow> | undefined {
  const byId = new Map<SqlValue, SqlRow>();
  for (const row of rows) {
    const { id } = row;
    if (id === undefined || typeof id === "object") return undefined;
    byId.set(id, row);
  }
  return byId.size === rows.length ? byId : undefined;
}

function sameRow(a: SqlRow, b: SqlRow): boolean {
  // One query gives the same columns each time.
  for (const column in a) if (!sameValue(a[column]!, b[column]!)) return false;
  return true;
}

/** Whether two values of SQLite are the same. */
export function sameValue(a: SqlValue, b: SqlValue): boolean {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) return Object.is(a, b);
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function rowText(row: SqlRow): string {
  return valuesText(Object.values(row));
}

/** Values as a text that no other values have. */
export function valuesText(values: readonly SqlValue[]): string {
  return JSON.stringify(values.map((value) => {
    if (value instanceof Uint8Array) return [0, ...value];
    if (typeof value === "bigint") return [1, String(value)];
    // NaN does not come out of SQLite; infinities and −0 do.
    return typeof value === "number" && !Number.isSafeInteger(value) || Object.is(value, -0)
      ? [2, Object.is(value, -0) ? "-0" : String(value)]
      : value;
  }));
}
