import type { SqlTransaction } from "@lakesync/core";
import { OWN_SQL } from "./_own.ts";

/**
 * Brings the own deltas of a database of format 1 into the tables that there are now: they were in one
 * wide table, which was written anew with each change of a delta's state.
 */
export async function upgradeOwn(tx: SqlTransaction, format: number): Promise<void> {
  // Not renamed: that fails where a view of the app names a table that is not there.
  await tx.run("CREATE TABLE lakesync_own_1 AS SELECT * FROM lakesync_own");
  await tx.run("DROP TABLE lakesync_own");
  for (const sql of OWN_SQL) await tx.run(sql);
  await tx.run(
    `INSERT INTO lakesync_own_state (ord, tbl, row_id, tx_id, state, tries, offset_ms, bytes, seq, at)
     SELECT ord, tbl, row_id, tx_id, state, tries, offset_ms, bytes, seq, at
     FROM lakesync_own_1 ORDER BY ord`,
  );
  await tx.run(
    "INSERT INTO lakesync_own_json (ord, json) SELECT ord, json FROM lakesync_own_1 ORDER BY ord",
  );
  await tx.run("DROP TABLE lakesync_own_1");
  await tx.run("UPDATE lakesync_state SET format = ?", [format]);
}
