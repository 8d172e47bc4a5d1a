import { type ErrorCode, LakeSyncError, type SqlRow, type SqlValue } from "@lakesync/core";

/** Rows as they travel: a copy by the structured clone would give objects with a prototype. */
export interface PackedRows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly SqlValue[])[];
}

/** Packs a result. */
export function packRows(rows: readonly SqlRow[]): PackedRows {
  const columns = Object.keys(rows[0] ?? {});
  return { columns, rows: rows.map((row) => columns.map((column) => row[column]!)) };
}

/** The result again. */
export function unpackRows({ columns, rows }: PackedRows): SqlRow[] {
  return rows.map((values) => {
    const row: { [column: string]: SqlValue } = Object.create(null);
    for (const [i, column] of columns.entries()) row[column] = values[i]!;
    return row;
  });
}

/** Stands for an error of ours, whose class and code the structured clone would lose. */
class PackedError {
  readonly lakesyncError: readonly [code: string, message: string, details: unknown, cause: string];

  constructor({ code, message, details, cause }: LakeSyncError) {
    this.lakesyncError = [code, message, details, cause === undefined ? "" : String(cause)];
  }
}

/** A copy in which errors of ours, in it or in one of its members,, can travel. */
export function packErrors(value: unknown): unknown {
  return mapPlain(value, (item) => item instanceof LakeSyncError ? new PackedError(item) : item, 2);
}

/** The errors again. */
export function unpackErrors(value: unknown): unknown {
  return mapPlain(value, (item) => {
    const packed = (item as Partial<PackedError> | null | undefined)?.lakesyncError;
    if (!Array.isArray(packed)) return item;
    const [code, message, details, cause] = packed as unknown as PackedError["lakesyncError"];
    return new LakeSyncError(code as ErrorCode, message, {
      ...(details !== undefined && { details: details as NonNullable<LakeSyncError["details"]> }),
      ...(cause !== "" && { cause: new Error(cause) }),
    });
  }, 2);
}

function mapPlain(value: unknown, map: (item: unknown) => unknown, depth: number): unknown {
  const mapped = map(value);
  if (mapped !== value || depth === 0 || !isPlain(value)) return mapped;
  let copy: { [key: string]: unknown } | undefined;
  for (const [key, item] of Object.entries(value)) {
    const is = mapPlain(item, map, depth - 1);
    if (is !== item) (copy ??= { ...value })[key] = is;
  }
  return copy ?? value;
}

function isPlain(value: unknown): value is { [key: string]: unknown } {
  return typeof value === "object" && value !== null &&
    Object.getPrototypeOf(value) === Object.prototype;
}
