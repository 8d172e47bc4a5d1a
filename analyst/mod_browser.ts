/**
 * Asks a lake with SQL from a page, offline too: DuckDB compiled to WebAssembly.
 *
 * @module
 */
export type { Analyst, QueryOptions, QueryResult, QueryStream } from "./analyst.ts";
export { type BrowserAnalystOptions, openBrowserAnalyst } from "./open_browser.ts";
export { type OwnDeltas, ownFromSqlite } from "./own.ts";
export type { PendingDeltas } from "./pending.ts";
export {
  type PulledChanges,
  type PulledDeltas,
  type PulledReading,
  pullFromGateway,
  type PullFromGatewayOptions,
} from "./pulled.ts";
export type { AnalystSources } from "./sources.ts";
export type { QueryColumn, QueryParam, QueryRow, QueryValue } from "./values.ts";
