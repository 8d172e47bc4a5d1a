/** One copy in a process of its own: `_copy_source_child.ts postgres|mysql URL LAKE`. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergDestination } from "@lakesync/adapter-iceberg";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import { copySource, sqlCursorSource } from "@lakesync/adapter-sources";
import { unwrapOrThrow } from "@lakesync/core";
import { openSqliteLogStore } from "@lakesync/gateway";
import { peakRss } from "./_machine.ts";
import { todos } from "./_workload.ts";

/** What it prints. */
export interface CopySourceReport {
  /** How long it took. */
  readonly seconds: number;
  /** How many rows it copied. */
  readonly records: number;
  /** How large the data files are. */
  readonly bytes: number;
  /** The most memory that the process had, in bytes. */
  readonly peakRss: number;
  /** The CPU time of the process, in seconds. */
  readonly cpu: number;
}

const [kind, url, directory] = process.argv.slice(2) as [string, string, string];
const source = sqlCursorSource({
  name: "todos",
  open: () => kind === "postgres" ? postgresServer({ url }) : mysqlServer({ url }),
  query: "SELECT * FROM source_todos",
  key: "id",
  cursor: "version",
  to: todos.schema,
});
const places = unwrapOrThrow(await openSqliteLogStore({ path: `${directory}.db` }));
const lake = icebergDestination({ store: fileObjectStore({ directory }) });
const start = performance.now();
const before = process.cpuUsage();
const { records } = unwrapOrThrow(
  await copySource(source, lake, { table: todos.schema, places }),
);
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(before);
const bytes = readdirSync(directory, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".parquet"))
  .reduce((sum, file) => sum + statSync(join(directory, file)).size, 0);
await source.close();
await places.close();
const report: CopySourceReport = {
  seconds,
  records,
  bytes,
  peakRss: peakRss(),
  cpu: (user + system) / 1e6,
};
console.log(JSON.stringify(report));
