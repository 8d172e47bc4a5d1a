/**
 * Postgres, for the deltas and the tables of `@lakesync/adapter-database`.
 *
 * @module
 */
export { postgresServer, type PostgresServerOptions } from "./postgres_server.ts";
