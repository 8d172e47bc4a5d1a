import type { Delta, ErrorCode, SqlRow, SqlTransaction } from "@lakesync/core";
import type { LocalTable } from "./_local_table.ts";
import type { DeadLetter } from "./status.ts";
import type { WriteTarget } from "./_write_op.ts";

/** Reads all letters, oldest first. */
export const SELECT_LETTERS = "SELECT * FROM lakesync_rejected ORDER BY ord";

/** The letter that a row of {@linkcode SELECT_LETTERS} stands for. */
export function letterOf({ at, code, message, json }: SqlRow): DeadLetter {
  return {
    delta: JSON.parse(json as string) as Delta,
    code: code as ErrorCode,
    message: message as string,
    at: at as number,
  };
}

/** Takes letters out, in their order; those that are not there are left out. */
export async function takeLetters(
  tx: SqlTransaction,
  deltaIds: readonly string[],
): Promise<readonly DeadLetter[]> {
  const chosen = new Set(deltaIds);
  const rows = (await tx.all(SELECT_LETTERS))
    .map((row) => ({ ord: row.ord!, letter: letterOf(row) }))
    .filter(({ letter }) => chosen.has(letter.delta.deltaId));
  await tx.runMany("DELETE FROM lakesync_rejected WHERE ord = ?", rows.map(({ ord }) => [ord]));
  return rows.map(({ letter }) => letter);
}

/** Makes a letter's change again, on its row as it is now. */
export async function remake(
  session: WriteTarget,
  letter: DeadLetter,
  tables: ReadonlyMap<string, LocalTable>,
): Promise<void> {
  const { op, table: name, rowId, columns } = letter.delta;
  const table = tables.get(name);
  // An older version of the app knew it; this one shows nothing of it.
  if (table === undefined) return;
  // fromEntries defines own properties, so that a column named __proto__ is one too.
  const values = Object.fromEntries(columns.map(({ column, value }) => [column, value]));
  if (op === "INSERT") await session.put(table, { ...values, id: rowId });
  else if (op === "UPDATE") await session.update(table, rowId, values);
  else await session.delete(table, rowId);
}
