/**
 * Deltas in databases: what every SQL database has in common, tables for people to query, and the
 * destination that a gateway flushes to.
 *
 * @module
 */
export {
  type DatabaseDestination,
  databaseDestination,
  type DatabaseDestinationOptions,
  type MaterialiseAfterFlush,
} from "./destination.ts";
export {
  consumeFlushJobs,
  type ConsumeFlushJobsOptions,
  type ConsumeReport,
  runFlushJobs,
} from "./flush_consumer.ts";
export { type JobPlace, objectStoreJobs, type ObjectStoreJobsOptions } from "./flush_job_store.ts";
export type { FlushWork } from "./flush_work.ts";
export { type FlushJobs, memoryJobs, storedJobs } from "./flush_jobs.ts";
export {
  type FlushJobFailure,
  FlushQueue,
  type FlushQueueOptions,
  type FlushQueueStats,
} from "./flush_queue.ts";
export { materialisedColumnName } from "./materialised_table.ts";
export { mergedTables, type MergedTablesOptions } from "./merged_tables.ts";
export { sqlPruning } from "./pruning.ts";
export { type SqlAdapter, sqlAdapter, type SqlAdapterOptions } from "./sql_adapter.ts";
