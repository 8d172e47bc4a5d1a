import {
  type ColumnChange,
  type ColumnSchema,
  type JsonValue,
  LakeSyncError,
  toWire,
  valueFault,
} from "@lakesync/core";
import type { LocalTable } from "./_local_table.ts";

/** A value that an app gives for a column, in wire form. Throws where it does not fit. */
export function wireValue(table: LocalTable, name: string, value: unknown): JsonValue {
  const column: ColumnSchema | undefined = table.columns.get(name);
  if (column === undefined) {
    throw new LakeSyncError(
      "VALIDATION_ERROR",
      `Cannot write to "${table.name}": it has no column "${name}"`,
    );
  }
  const wire = toWire(column, value);
  const fault = valueFault(column, wire);
  if (fault !== undefined) {
    throw new LakeSyncError(
      "VALIDATION_ERROR",
      `Cannot write to "${table.name}": the value of column "${name}" ${fault}`,
    );
  }
  return ownValue(wire as JsonValue);
}

/**
 * A value that nobody else holds: an app may go on changing an object that it gave or got, and a delta
 * must stay what its id is the hash of.
 */
export function ownValue(value: JsonValue): JsonValue {
  return typeof value === "object" && value !== null ? structuredClone(value) : value;
}

/**
 * The columns that an INSERT of an app's row carries: all that are not null. Throws where one does not
 * fit or is missing.
 */
export function insertedColumns(
  table: LocalTable,
  row: { readonly [column: string]: unknown },
): readonly ColumnChange[] {
  const { columns } = table.schema;
  const values: (JsonValue | undefined)[] = new Array(columns.length).fill(undefined);
  for (const name of Object.keys(row)) {
    if (name !== "id") {
      const value = wireValue(table, name, row[name]);
      values[table.places.get(name)!] = value;
    }
  }
  const inserted: ColumnChange[] = [];
  for (let i = 0; i < columns.length; i++) {
    const { name, nullable } = columns[i]!;
    const value = values[i];
    if (value === undefined && nullable !== true) {
      throw new LakeSyncError(
        "VALIDATION_ERROR",
        `Cannot insert into "${table.name}": column "${name}" is missing and not nullable`,
      );
    }
    if (value !== undefined && value !== null) inserted.push({ column: name, value });
  }
  return inserted;
}
