/** One compaction in a process of its own: `_compact_child.ts LAKE DELETES`. */
import process from "node:process";
import { fileObjectStore } from "@lakesync/adapter-file";
import { compactTable } from "@lakesync/adapter-iceberg";
import { unwrapOrThrow } from "@lakesync/core";
import { peakRss } from "./_machine.ts";

/** What it prints. */
export interface CompactReport {
  /** How long it took. */
  readonly seconds: number;
  /** How many changes it read. */
  readonly changes: number;
  /** How large the files are that it wrote. */
  readonly bytes: number;
  /** The most memory that the process had, in bytes. */
  readonly peakRss: number;
}

const [directory, deletes] = process.argv.slice(2) as [string, "rewrite" | "positions"];
const store = fileObjectStore({ directory });
const start = performance.now();
const outcome = unwrapOrThrow(await compactTable({ store, table: "todos", deletes }));
const seconds = (performance.now() - start) / 1000;
if (outcome.status !== "compacted") throw new Error(`Nothing was compacted: ${outcome.status}`);
const { changes, bytes } = outcome;
const report: CompactReport = { seconds, changes, bytes, peakRss: peakRss() };
console.log(JSON.stringify(report));
