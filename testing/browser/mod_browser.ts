/**
 * The part of `@lakesync/testing` that a browser can run: `@lakesync/testing` means this in a bundle.
 *
 * @module
 */
export { test, type TestOptions } from "../test.ts";
export { Prng } from "../prng.ts";
export { type SqlDatabaseSubject, testSqlDatabase } from "../sql_database.ts";
