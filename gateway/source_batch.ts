import { isRowId, type SourceBatch, type TableIndex, valueFault } from "@lakesync/core";

/**
 * Finds what is wrong with a source's records.
 *
 * @param batch The records.
 * @param tables The gateway's tables.
 * @returns The fault, with the table or record that has it; undefined where all is well.
 */
export function batchFault(
  batch: SourceBatch,
  tables: ReadonlyMap<string, TableIndex>,
): string | undefined {
  for (const { op, table, rowId, columns } of batch.changes) {
    const index = tables.get(table);
    if (index === undefined) return `table "${table}" has no schema, put it to the gateway first`;
    if (!isRowId(rowId)) return "a record's rowId must be a well-formed string of 1 to 256 bytes";
    if (op === "delete") continue;
    for (const [name, value] of columns) {
      const column = index.columns.get(name);
      if (column === undefined) return `column "${name}" is not in table "${table}"`;
      const reason = valueFault(column, value);
      if (reason !== undefined) return `column "${name}" of record "${rowId}" ${reason}`;
    }
    const missing = index.required.find((name) => !columns.has(name));
    if (missing !== undefined) return `record "${rowId}" has no column "${missing}"`;
  }
  return undefined;
}
