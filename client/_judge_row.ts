import { LakeSyncError } from "@lakesync/core";
import type { LocalTable } from "./_local_table.ts";

/**
 * Lets the app's own validator judge a row before it is written.
 *
 * @param row The row as it would be read.
 * @param columns The columns that change; undefined for a new row. Faults of others are not this
 * write's: they may be in what another device wrote.
 * @throws {LakeSyncError} `VALIDATION_ERROR` that names the path, where it finds a fault.
 */
export async function judgeRow(
  table: LocalTable,
  row: { readonly [column: string]: unknown },
  columns?: readonly string[],
): Promise<void> {
  if (table.validate === undefined) return;
  const { issues } = await table.validate["~standard"].validate(row);
  for (const { message, path = [] } of issues ?? []) {
    // Not `map`: a validator's path may be an array of another class.
    const keys = Array.from(path, (part) => typeof part === "object" ? part.key : part);
    const [column] = keys;
    if (columns !== undefined && column !== undefined && !columns.includes(String(column))) {
      continue;
    }
    const place = keys.length === 0 ? "the row" : keys.map(String).join(".");
    throw new LakeSyncError(
      "VALIDATION_ERROR",
      `Cannot write to "${table.name}": ${place} is refused by the table's validator: ${message}`,
      { details: { path: keys.map(String) } },
    );
  }
}

/** What a table's validator finds fault with, in a form that travels. */
export async function issuesOf(
  table: LocalTable | undefined,
  row: unknown,
): Promise<{ message: string; path: string[] }[]> {
  const verdict = await table?.validate?.["~standard"].validate(row);
  return Array.from(verdict?.issues ?? [], ({ message, path = [] }) => ({
    message,
    path: Array.from(path, (part) => String(typeof part === "object" ? part.key : part)),
  }));
}
