/** One flush in a process of its own: `_flush_child.ts LOG LAKE NAME`. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergDestination } from "@lakesync/adapter-iceberg";
import { unwrapOrThrow } from "@lakesync/core";
import { openGateway } from "./_gateway.ts";
import { peakRss } from "./_machine.ts";

/** What it prints. */
export interface FlushChildReport {
  /** How long the flush took. */
  readonly seconds: number;
  /** How many deltas it committed. */
  readonly deltas: number;
  /** How large the data files are. */
  readonly bytes: number;
  /** The most memory that the process had, in bytes. */
  readonly peakRss: number;
}

const [log, directory, name] = process.argv.slice(2) as [string, string, string];
// A name of its own makes the lake a new destination: it gets the log from the beginning.
const lake = icebergDestination({ store: fileObjectStore({ directory }), name });
const gateway = await openGateway(log, [lake]);
const start = performance.now();
const { deltas } = unwrapOrThrow(await gateway.flush());
const seconds = (performance.now() - start) / 1000;
const files = readdirSync(directory, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".parquet"));
const bytes = files.reduce((sum, file) => sum + statSync(join(directory, file)).size, 0);
const report: FlushChildReport = { seconds, deltas, bytes, peakRss: peakRss() };
await gateway.close();
console.log(JSON.stringify(report));
