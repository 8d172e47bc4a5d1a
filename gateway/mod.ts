/**
 * The gateway: it orders deltas durably, gives them out again, and hands them on to destinations.
 *
 * @module
 */
export type { Caller } from "./caller.ts";
export type { FlushedUpTo, FlushReport } from "./flush.ts";
export {
  type CheckpointStream,
  createGateway,
  Gateway,
  type GatewayOptions,
  type GatewayStats,
  type IngestOptions,
} from "./gateway.ts";
export { createHandler, type Handler, type HandlerOptions } from "./http.ts";
export type { IngestReport } from "./ingest.ts";
export type { GatewayLimits } from "./limits.ts";
export { memoryLogStore, type MemoryLogStoreOptions } from "./store_memory.ts";
export { openSqliteLogStore, type SqliteLogStoreOptions } from "./store_sqlite.ts";
