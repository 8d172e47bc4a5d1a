/**
 * Asks a lake with SQL: DuckDB over current rows, changelogs and the deltas that are not flushed yet,
 * as they are now or as they were at any stamp or snapshot. Runs on Deno and Bun.
 *
 * @module
 */
export type { Analyst, QueryOptions, QueryResult, QueryStream } from "./analyst.ts";
export { type AnalystOptions, openAnalyst } from "./open.ts";
export type { AnalystSources } from "./sources.ts";
export { fileLocation } from "./locate.ts";
export { type OwnDeltas, ownFromSqlite } from "./own.ts";
export {
  type FlushedUpTo,
  type PendingDeltas,
  pendingFromLog,
  type PendingFromLogOptions,
} from "./pending.ts";
export {
  type PulledChanges,
  type PulledDeltas,
  type PulledReading,
  pullFromGateway,
  type PullFromGatewayOptions,
} from "./pulled.ts";
export type { FindState, StatePlace } from "./state.ts";
export type { QueryColumn, QueryParam, QueryRow, QueryValue } from "./values.ts";
