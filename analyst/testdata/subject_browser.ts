import { ok } from "@lakesync/core";
import { DuckDbAnalyst } from "../_analyst.ts";
import { openWasmDuckDb } from "../_duckdb_browser.ts";
import { TableFiles } from "../_files_browser.ts";
import { type AnalystSubject, TestLake } from "./subject.ts";

const PACKAGE = `${location.origin}/npm/@duckdb/duckdb-wasm/dist`;

/** DuckDB's files, as the pages of tests have them. */
export const DUCKDB_FILES = {
  worker: `${PACKAGE}/duckdb-browser-eh.worker.js`,
  wasm: `${PACKAGE}/duckdb-eh.wasm`,
};

/** DuckDB in one worker of this page for all tests, as it takes a second to start; files in memory. */
export async function browserSubject(): Promise<AnalystSubject> {
  const duckDb = await openWasmDuckDb(DUCKDB_FILES);
  const newLake = () =>
    new TestLake((name) => Promise.resolve(`memory:///${encodeURIComponent(name)}`));
  let last = newLake();
  return {
    withLake: (use) => use(last = newLake()),
    open({ keptBytes: limit = 2 ** 20, store = last.store, ...sources }) {
      const files = new TableFiles({ store, limit, connect: () => duckDb.connect() });
      const close = () => Promise.resolve();
      return Promise.resolve(ok(new DuckDbAnalyst({ ...duckDb, files, close }, sources)));
    },
    endless: "SELECT sum(hash(range)) FROM range(1000000000000)",
  };
}
