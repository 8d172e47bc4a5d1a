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
export { type FileObjectStore, fileObjectStore, memoryObjectStore } from "./stores.ts";
export { type SqlDatabaseSubject, testSqlDatabase } from "./sql_database.ts";
