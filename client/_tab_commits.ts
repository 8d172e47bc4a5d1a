import type { SqlDatabase, SqlTransaction } from "@lakesync/core";

/** For so long a commit is remembered whose answer nobody said to have come, in ms: tabs sleep long. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;

/** Makes the table that tabs' commits are noted in, each by the commit itself. */
export async function makeCommits(tx: SqlTransaction, options: { now: number }): Promise<void> {
  await tx.run(
    "CREATE TABLE IF NOT EXISTS lakesync_commits (tx TEXT PRIMARY KEY NOT NULL, at INTEGER NOT NULL) " +
      "WITHOUT ROWID",
  );
  await tx.run("DELETE FROM lakesync_commits WHERE at < ?", [options.now - KEPT_MS]);
}

/**
 * Notes that this transaction is committed, where it is.
 *
 * @param options When it is; and which ones need not be remembered: their tab has had the answer.
 */
export async function noteCommit(
  tx: SqlTransaction,
  id: string,
  options: { now: number; done: readonly string[] },
): Promise<void> {
  const { now, done } = options;
  if (done.length > 0) {
    await tx.runMany("DELETE FROM lakesync_commits WHERE tx = ?", done.map((old) => [old]));
  }
  await tx.run("INSERT INTO lakesync_commits (tx, at) VALUES (?, ?)", [id, now]);
}

/** Whether a transaction was committed. */
export async function wasCommitted(database: SqlDatabase, id: string): Promise<boolean> {
  const rows = await database.query("SELECT 1 FROM lakesync_commits WHERE tx = ?", [id]);
  if (!rows.ok) throw rows.error;
  return rows.value.length > 0;
}
