import { LakeSyncError, type SqlRow, type SqlTransaction, type SqlValue } from "@lakesync/core";

// What SQLite lets stand before a statement: space, comments, and brackets.
const READING = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|\()*(?:select|values|with)\b/i;

/** Refuses SQL that is not a query by its first word. (A WITH may still write.) */
export function checkReading(sql: string): void {
  if (READING.test(sql)) return;
  throw new LakeSyncError(
    "VALIDATION_ERROR",
    "Cannot run query: it is not a SELECT, VALUES or WITH, use client.tables to write",
  );
}

/** Refuses SQL whose program, as EXPLAIN gives it, writes. */
export function checkProgram(program: Iterable<SqlRow>): void {
  for (const { opcode, p2 } of program) {
    if (opcode === "Transaction" && p2 !== 0) {
      throw new LakeSyncError(
        "VALIDATION_ERROR",
        "Cannot run query: it would write, use client.tables for that",
      );
    }
  }
}

/** A query within a transaction, which must not write past the client. */
export async function readWithin(
  tx: SqlTransaction,
  sql: string,
  params: readonly SqlValue[],
): Promise<SqlRow[]> {
  checkReading(sql);
  checkProgram(await tx.all(`EXPLAIN ${sql}`));
  return await tx.all(sql, params);
}
