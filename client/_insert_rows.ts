import type { SqlTransaction, SqlValue } from "@lakesync/core";

/** Rows and parameters that go into one statement: more of them make nothing quicker. */
const ROWS = 32;
const PARAMS = 1_000;

/** Statements for several rows, by the statement for one. */
const statements: Map<string, string> = new Map();

/**
 * Runs an `INSERT … VALUES (?, …) …` for each of some rows, several of them in a statement: a call of
 * SQLite costs more than most rows do.
 *
 * @param sql The statement for one row. The same few all the time.
 * @param rows Its parameters, as many for each row.
 * @returns How many rows it changed.
 */
export async function insertRows(
  tx: SqlTransaction,
  sql: string,
  rows: readonly (readonly SqlValue[])[],
): Promise<number> {
  const width = rows[0]?.length ?? 0;
  const together = Math.min(ROWS, Math.floor(PARAMS / Math.max(1, width)));
  const whole = together < 2 ? 0 : rows.length - rows.length % together;
  let changed = 0;
  if (whole > 0) {
    const params: SqlValue[][] = [];
    for (let i = 0; i < whole; i += together) params.push(rows.slice(i, i + together).flat());
    changed += await tx.runMany(forMany(sql, { width, together }), params);
  }
  if (whole < rows.length) {
    changed += await tx.runMany(sql, whole === 0 ? rows : rows.slice(whole));
  }
  return changed;
}

function forMany(sql: string, { width, together }: { width: number; together: number }): string {
  let many = statements.get(sql);
  if (many === undefined) {
    const marks = `(${Array.from({ length: width }, () => "?").join(", ")})`;
    const list = Array.from({ length: together }, () => marks).join(", ");
    many = sql.replace(`VALUES ${marks}`, () => `VALUES ${list}`);
    statements.set(sql, many);
  }
  return many;
}
