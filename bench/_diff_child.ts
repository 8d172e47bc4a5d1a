/** One reading by a diff in a process of its own: `_diff_child.ts postgres|mysql URL STATE [CURSOR]`. */
import process from "node:process";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import { sqlDiffSource } from "@lakesync/adapter-sources";
import { unwrapOrThrow } from "@lakesync/core";
import { peakRss } from "./_machine.ts";
import { todos } from "./_workload.ts";

/** What it prints. */
export interface DiffReport {
  /** How long it took. */
  readonly seconds: number;
  /** How many changes it found. */
  readonly changes: number;
  /** Where the next one goes on. */
  readonly cursor: string | undefined;
  /** The most memory that the process had, in bytes. */
  readonly peakRss: number;
  /** The CPU time of the process, in seconds. */
  readonly cpu: number;
}

const [kind, url, state, from] = process.argv.slice(2) as [string, string, string, string?];
const source = sqlDiffSource({
  name: "todos",
  open: () => kind === "postgres" ? postgresServer({ url }) : mysqlServer({ url }),
  query: "SELECT * FROM source_todos",
  key: "id",
  to: todos.schema,
  state,
});
let changes = 0;
let cursor = from;
const start = performance.now();
const before = process.cpuUsage();
for await (const batch of source.read({ cursor })) {
  const taken = unwrapOrThrow(batch);
  changes += taken.changes.length;
  cursor = taken.cursor;
}
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(before);
await source.close();
const report: DiffReport = {
  seconds,
  changes,
  cursor,
  peakRss: peakRss(),
  cpu: (user + system) / 1e6,
};
console.log(JSON.stringify(report));
