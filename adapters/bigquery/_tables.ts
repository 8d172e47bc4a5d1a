import type { Jobs, WaitOptions } from "./_jobs.ts";
import { QueryBuilder } from "./_query.ts";

/**
 * LakeSync's own tables, as docs/databases.md has them. The head comes with its rows, in one step:
 * BigQuery enforces no key, so that two processes that begin at once could both put them in.
 * `sqlAdapter` looks at the columns and at the format afterwards. Watermarks are made behind what they
 * are about.
 */
const OWN_TABLES: readonly string[] = [
  "CREATE TABLE IF NOT EXISTS `lakesync_deltas` (`pos` INT64 NOT NULL, `table_name` STRING NOT NULL, " +
  "`seq` INT64 NOT NULL, `at` INT64 NOT NULL, `row_key` STRING NOT NULL, `delta` STRING NOT NULL, " +
  "PRIMARY KEY (`pos`) NOT ENFORCED) CLUSTER BY `pos`",
  "CREATE TABLE IF NOT EXISTS `lakesync_rows` (`row_key` STRING NOT NULL, `state` STRING NOT NULL, " +
  "PRIMARY KEY (`row_key`) NOT ENFORCED) CLUSTER BY `row_key`",
  "CREATE TABLE IF NOT EXISTS `lakesync_tables` (`table_name` STRING NOT NULL, `epoch` STRING NOT NULL, " +
  "`seq` INT64 NOT NULL, `done` INT64 NOT NULL, `log_hash` STRING, PRIMARY KEY (`table_name`) NOT ENFORCED)",
  "CREATE TABLE IF NOT EXISTS `lakesync_head` (`name` STRING NOT NULL, `value` INT64 NOT NULL, " +
  "PRIMARY KEY (`name`) NOT ENFORCED) AS SELECT 'pos' AS name, COALESCE(MAX(place), 0) AS value FROM " +
  "(SELECT pos AS place FROM `lakesync_deltas` UNION ALL SELECT done AS place FROM `lakesync_tables`) AS places " +
  "UNION ALL SELECT 'format', 2",
];

/** Makes what is not there of LakeSync's own tables. */
export async function makeOwnTables(jobs: Jobs, options: WaitOptions): Promise<void> {
  for (const text of OWN_TABLES) await jobs.execute(new QueryBuilder().add(text).build(), options);
}
