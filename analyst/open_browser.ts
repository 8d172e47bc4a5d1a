import { err, type ObjectStore, ok, type Result } from "@lakesync/core";
import { DuckDbAnalyst } from "./_analyst.ts";
import { openWasmDuckDb } from "./_duckdb_browser.ts";
import { duckDbError } from "./_errors.ts";
import { TableFiles } from "./_files_browser.ts";
import type { Analyst } from "./analyst.ts";
import type { AnalystSources } from "./sources.ts";

/** Options of {@linkcode openBrowserAnalyst}. */
export interface BrowserAnalystOptions extends AnalystSources {
  /** The lake's objects. */
  readonly store: ObjectStore;
  /** Where the app serves `duckdb-browser-eh.worker.js` of `@duckdb/duckdb-wasm`: its own origin. */
  readonly worker: string | URL;
  /** Where it serves `duckdb-eh.wasm`, of the same version. */
  readonly wasm: string | URL;
  /**
   * The most bytes of data files, as they lie in the lake, whose rows DuckDB keeps in memory for
   * further queries.
   *
   * @default {67_108_864}
   */
  readonly tableBytes?: number;
}

/**
 * Opens DuckDB, compiled to WebAssembly, over a lake, in a worker of this page. It asks nothing of
 * any server but the two files that are named and the lake's objects; what was read once can be read
 * offline where `store` keeps it. No headers of isolation between origins are needed.
 *
 * It answers as `openAnalyst` of `@lakesync/analyst` does, but for what DuckDB has in its extensions
 * `json` and `icu`, which its WebAssembly would download: there are no JSON functions, and a
 * TIMESTAMPTZ becomes a TIMESTAMP (by `::TIMESTAMP`, in UTC) before its day is taken. Rows are merged
 * from all changes.
 *
 * @param options The lake, its objects and DuckDB's files.
 * @returns The analyst; `NOT_FOUND` or `OFFLINE` where one of DuckDB's files is not to be had.
 * @throws {TypeError} Where a query's `asOf` is no stamp or a parameter is an invalid date.
 *
 * @example Ask a lake from a page
 * ```ts ignore
 * import { httpObjectStore, offlineObjectStore } from "@lakesync/adapter-http";
 * import { filesCatalogue, icebergLake } from "@lakesync/adapter-iceberg/browser";
 * import { openBrowserAnalyst } from "@lakesync/analyst/browser";
 * import { ok, unwrapOrThrow } from "@lakesync/core";
 *
 * const store = offlineObjectStore(httpObjectStore({ url: "https://lake.example/prod" }));
 * const list = () => Promise.resolve(ok(["todos_changes"]));
 * const analyst = unwrapOrThrow(
 *   await openBrowserAnalyst({
 *     lake: icebergLake({ catalogue: { ...filesCatalogue(store), list } }),
 *     store,
 *     worker: "/duckdb/duckdb-browser-eh.worker.js",
 *     wasm: "/duckdb/duckdb-eh.wasm",
 *   }),
 * );
 * const answer = await analyst.query("SELECT count(*) AS n FROM todos");
 * ```
 */
export async function openBrowserAnalyst(
  options: BrowserAnalystOptions,
): Promise<Result<Analyst>> {
  const { worker, wasm, store, tableBytes = 2 ** 26, ...sources } = options;
  try {
    const duckDb = await openWasmDuckDb({ worker, wasm });
    const files = new TableFiles({ store, limit: tableBytes, connect: () => duckDb.connect() });
    return ok(new DuckDbAnalyst({ ...duckDb, files }, sources));
  } catch (thrown) {
    return err(duckDbError(thrown));
  }
}
