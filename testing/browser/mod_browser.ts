/**
 * The part of `@lakesync/testing` that a browser can run: `@lakesync/testing` means this in a bundle.
 *
 * @module
 */
export { test, type TestOptions } from "../test.ts";
export { Prng } from "../prng.ts";
export { memoryObjectStore } from "@lakesync/adapter-memory";
export { FakeGateway } from "../transport.ts";
export { type SqlDatabaseSubject, testSqlDatabase } from "../sql_database.ts";
export { serveTests, testInWorker } from "./worker_tests.ts";
