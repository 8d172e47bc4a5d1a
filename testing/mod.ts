/**
 * What LakeSync's own tests are written with. Not published.
 *
 * @module
 */
export { test, type TestOptions } from "./test.ts";
export { ManualClock } from "./clock.ts";
export { Prng } from "./prng.ts";
export { type ProcessExit, runtimeName, ScriptProcess, spawnScript } from "./process.ts";
export type { SpawnScriptOptions } from "./process.ts";
export { type FetchHandler, serveHandler, type TestServer } from "./serve.ts";
export { withTempDir } from "./temp.ts";
export { findMinio, type S3TestServer, startMinio } from "./s3_server.ts";
export {
  type CatalogueFault,
  type CatalogueRequest,
  type CatalogueServer,
  faultyCatalogue,
  findCatalogue,
  JARS,
  startIcebergRest,
  startNessie,
} from "./rest_catalogue.ts";
export { testObjectStore, type WithObjectStore } from "./object_store.ts";
export { faultyObjectStore, type StoreFault, type StoreOperation } from "./faulty_store.ts";
export {
  appendRequest,
  insertTodo,
  type LogStoreSubject,
  makeDelta,
  testLogStore,
} from "./log_store.ts";
export { FakeGateway } from "./transport.ts";
export type { FakeGatewayOptions, GatewayFault, GatewayRequest } from "./transport.ts";
export {
  type FakeSocket,
  FakeSockets,
  type FakeSocketsOptions,
  type OpenedSocket,
} from "./sockets.ts";
export { type FileObjectStore, fileObjectStore, memoryObjectStore } from "./stores.ts";
export { type SqlDatabaseSubject, testSqlDatabase } from "./sql_database.ts";
export {
  findPostgres,
  type FindPostgresOptions,
  type PostgresBinaries,
  type PostgresServerOptions,
  startPostgres,
} from "./postgres_server.ts";
export {
  findMariadb,
  type FindMariadbOptions,
  type MariadbBinaries,
  type MariadbPrograms,
  type MariadbServerOptions,
  startMariadb,
} from "./mariadb_server.ts";
export {
  type BigQueryEmulator,
  type EmulatorCredentials,
  type EmulatorFault,
  type EmulatorRequest,
  startBigQuery,
} from "./bigquery_emulator.ts";
export { WatchedServer, type WatchedServerOptions } from "./watched_server.ts";
export { bundle, BundleError, type BundleOptions } from "./browser/bundle.ts";
export {
  findChromium,
  type FindChromiumOptions,
  startChromium,
  startChromiumOn,
} from "./browser/chromium.ts";
export { html, servePages, type ServePagesOptions } from "./browser/pages.ts";
export { serveTests, testInWorker } from "./browser/worker_tests.ts";
