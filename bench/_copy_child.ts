/** One COPY in a process of its own: `_copy_child.ts DATABASE FILE`. */
import { statSync } from "node:fs";
import process from "node:process";
import { DuckDBInstance } from "@duckdb/node-api";

/** What it prints. */
export interface CopyReport {
  /** How long it took. */
  readonly seconds: number;
  /** How large the file is. */
  readonly bytes: number;
}

const [database, file] = process.argv.slice(2) as [string, string];
const instance = await DuckDBInstance.create(database);
const connection = await instance.connect();
const start = performance.now();
await connection.run(
  `COPY changes TO '${file.replaceAll("'", "''")}' (FORMAT parquet, COMPRESSION zstd)`,
);
const seconds = (performance.now() - start) / 1000;
connection.closeSync();
instance.closeSync();
const report: CopyReport = { seconds, bytes: statSync(file).size };
console.log(JSON.stringify(report));
