/** One compaction in a process of its own: `_compact_child.ts LAKE DELETES ENGINE`. */
import process from "node:process";
import { fileObjectStore } from "@lakesync/adapter-file";
import { compactTable, duckdbEngine, streamingEngine } from "@lakesync/adapter-iceberg";
import { unwrapOrThrow } from "@lakesync/core";
import { peakRss } from "./_machine.ts";

/** What it prints. */
export interface CompactReport {
  /** How long it took. */
  readonly seconds: number;
  /** How much time the processor's cores worked on it, also where others kept them busy. */
  readonly cpuSeconds: number;
  /** How many changes it read. */
  readonly changes: number;
  /** How large the files are that it wrote. */
  readonly bytes: number;
  /** The most memory that the process had, in bytes. */
  readonly peakRss: number;
}

const [directory, deletes, name] = process.argv.slice(2) as [
  string,
  "rewrite" | "vectors",
  "duckdb" | "streaming",
];
const engine = name === "duckdb" ? await duckdbEngine() : streamingEngine();
if (engine === undefined) throw new Error("DuckDB cannot be loaded");
const store = fileObjectStore({ directory });
const start = performance.now();
const cpu = process.cpuUsage();
const outcome = unwrapOrThrow(await compactTable({ store, table: "todos", deletes, engine }));
const seconds = (performance.now() - start) / 1000;
if (outcome.status !== "compacted") throw new Error(`Nothing was compacted: ${outcome.status}`);
const { user, system } = process.cpuUsage(cpu);
const { changes, bytes } = outcome;
const report: CompactReport = {
  seconds,
  cpuSeconds: (user + system) / 1e6,
  changes,
  bytes,
  peakRss: peakRss(),
};
console.log(JSON.stringify(report));
