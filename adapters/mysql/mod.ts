/**
 * MySQL and MariaDB, for the deltas and the tables of `@lakesync/adapter-database`.
 *
 * @module
 */
export { mysqlServer, type MysqlServerOptions } from "./mysql_server.ts";
