/**
 * What one starts: gateways over embedded parts, served over HTTP on Deno or Bun.
 *
 * @module
 */
export { defineLake, type LakeConfig, loadConfig, type LoadedConfig } from "./config.ts";
export type { CopyChoice } from "./config_flows_copy.ts";
export type {
  FlowsConfig,
  GatewayFlow,
  LoadedFlow,
  LoadedFlows,
  OpenSource,
  SourceFlow,
} from "./config_flows.ts";
export { type DenoDeployConfig, type DenoDeployServer, serveDenoDeploy } from "./deno_deploy.ts";
export type { KvGatewaysConfig } from "./kv_gateways.ts";
export type { FrontConfig } from "./config_front.ts";
export type { Rates } from "./config_limits.ts";
export { type Fetch, listen, type Listener, type ListenOptions, type Upgrade } from "./listen.ts";
export { jsonLogger, type JsonLoggerOptions } from "./logger.ts";
export { type GatewayPaths, gatewayPaths } from "./gateway_paths.ts";
export {
  bigquery,
  type BigQueryOptions,
  type DatabaseChoice,
  type DestinationContext,
  type DestinationFactory,
  type Destinations,
  mysql,
  type MysqlOptions,
  type OpenDestination,
  postgres,
  type PostgresOptions,
} from "./databases.ts";
export type { FlushThresholds } from "./flushing.ts";
export type { GatewaysOptions } from "./gateways.ts";
export type { CatalogueChoice, LakeChoice, MaintainChoice } from "./lake_choice.ts";
export { iceberg, type IcebergOptions } from "./iceberg_destination.ts";
export { icebergSource, type IcebergSourceOptions } from "./iceberg_source.ts";
export { lakeDatabase, type LakeDatabaseOptions } from "./lake_database.ts";
export { lakeStates } from "./lake_states.ts";
export { lifecycle, type LifecycleChoice } from "./lifecycle.ts";
export type { Pages } from "./pages.ts";
export { rebuildLog, type RebuildLogOptions, type RebuildReport } from "./rebuild_log.ts";
export { type RunningServer, type ServerOptions, startServer } from "./server.ts";
export type { ShardConfig } from "./shards.ts";
export type { StoreChoice, StoreKind } from "./stores.ts";
