/**
 * BigQuery, by its REST API: deltas, what they merge to, and tables for people to query.
 *
 * @module
 */
export { bigqueryServer } from "./bigquery_server.ts";
export type { BigQueryOptions, ServiceAccount } from "./options.ts";
