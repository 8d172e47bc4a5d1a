/**
 * The gateway: it orders deltas durably, gives them out again, and hands them on to destinations.
 *
 * @module
 */
export { type AdmitOptions, type Auth, type AuthOptions, createAuth } from "./auth.ts";
export { signToken, type SignTokenOptions, type TokenClaims } from "./auth_sign.ts";
export type { Anyone, Caller, Subject } from "./caller.ts";
export type {
  DestinationState,
  FailureStats,
  SharedDestinationState,
  TableState,
} from "./destination_stats.ts";
export type { FlushedUpTo, FlushOptions, FlushReport } from "./flush.ts";
export type { CheckpointCacheOptions } from "./checkpoint_cache.ts";
export type { CheckpointStream } from "./checkpoints.ts";
export { createGateway, Gateway } from "./gateway.ts";
export type {
  GatewayOptions,
  GatewayStats,
  IngestOptions,
  MaintenanceStats,
  PreparedPush,
} from "./gateway_options.ts";
export { isOrigin } from "./cors.ts";
export { createHandler, type Handler, type HandlerOptions } from "./http.ts";
export type { Exposure } from "./http_operator.ts";
export type { IngestReport } from "./ingest.ts";
export {
  DEFAULT_HANDLER_LIMITS,
  DEFAULT_LIMITS,
  type GatewayLimits,
  type HandlerLimits,
} from "./limits.ts";
export type { PushOutcome } from "./push.ts";
export {
  memoryRateLimiter,
  type MemoryRateLimiterOptions,
  type Rate,
  type RateLimiter,
  type RateRequest,
} from "./rate_limit.ts";
export { pageToAnswer, pageToJson } from "./page_form.ts";
export type { PageSize } from "./page.ts";
export type { NextPageOptions, PageAnswer, PageReader } from "./page_source.ts";
export type { KvAtomic, KvCheck, KvDatabase, KvEntry, KvKey, KvKeyPart } from "./kv_database.ts";
export { openDenoKv, type OpenDenoKvOptions } from "./kv_open_deno.ts";
export { kvLogStore, type KvLogStoreOptions } from "./store_kv.ts";
export { memoryLogStore, type MemoryLogStoreOptions } from "./store_memory.ts";
export {
  openPostgresDatabase,
  type PostgresDatabase,
  type PostgresDatabaseOptions,
} from "./postgres_database.ts";
export { openPostgresLogStore, type PostgresLogStoreOptions } from "./store_postgres.ts";
export { openSqliteLogStore, type SqliteLogStoreOptions } from "./store_sqlite.ts";
export type { WsFrame } from "./ws_message.ts";
export type { WsSocket } from "./ws_outlet.ts";
export type { WsConnection, WsUpgrade } from "./ws_upgrade.ts";
export { createRouter, type RouterOptions } from "./router.ts";
export type { Shard } from "./router_shards.ts";
export type { GatewayService, Pages, ServiceFlush, ServiceStats } from "./service.ts";
