import type { SqlTransaction } from "@lakesync/core";
import { type LocalTable, quote } from "./_local_table.ts";

/** The names of indexes that are the client's start so; no app's index has a space in its name. */
const PREFIX = "lakesync index ";

/** Makes the indexes that the tables declare, and removes those that they declared once. */
export async function declareIndexes(
  tx: SqlTransaction,
  tables: readonly LocalTable[],
): Promise<void> {
  const wanted = new Map<string, string>();
  for (const { name: table, indexes } of tables) {
    for (const columns of indexes) {
      const name = `${PREFIX}${table} (${columns.join(", ")})`;
      const on = columns.map(quote).join(", ");
      wanted.set(name, `CREATE INDEX ${quote(name)} ON ${quote(table)} (${on})`);
    }
  }
  const there = await tx.all(
    "SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE ?",
    [`${PREFIX}%`],
  );
  for (const { name } of there) {
    if (!wanted.delete(name as string)) await tx.run(`DROP INDEX ${quote(name as string)}`);
  }
  for (const sql of wanted.values()) await tx.run(sql);
}
