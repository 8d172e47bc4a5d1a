import { err, type LakeFile, type ObjectStore, ok, type Result } from "@lakesync/core";
import { DuckDbAnalyst } from "./_analyst.ts";
import { openNativeDuckDb } from "./_duckdb_native.ts";
import { duckDbError } from "./_errors.ts";
import { NativeFiles } from "./_files_native.ts";
import type { Analyst } from "./analyst.ts";
import { fileLocation } from "./locate.ts";
import type { AnalystSources } from "./sources.ts";
import type { FindState } from "./state.ts";

/** Options of {@linkcode openAnalyst}. */
export interface AnalystOptions extends AnalystSources {
  /**
   * The lake's objects. DuckDB has no extension for remote files here and downloads none, so what a query
   * reads that has no `file:` URL is copied to the system's temporary directory first.
   *
   * @default {undefined} DuckDB opens all files where `locate` says
   */
  readonly store?: ObjectStore;
  /**
   * The most bytes of copies that are kept for further queries.
   *
   * @default {1_073_741_824}
   */
  readonly copyBytes?: number;
  /**
   * Where DuckDB opens a data file that is not copied: a local path.
   *
   * @default {fileLocation}
   */
  readonly locate?: (file: LakeFile) => string;
  /**
   * The most memory that DuckDB takes before it spills to the system's temporary directory, in its
   * own notation: `"2GB"`.
   *
   * @default {undefined} 80 % of the machine's
   */
  readonly memoryLimit?: string;
  /**
   * How many threads DuckDB works with.
   *
   * @default {undefined} one for each core
   */
  readonly threads?: number;
  /**
   * Finds tables' current rows, where the lake keeps some: a query of a table's rows then reads them and
   * the newer changes only.
   *
   * @default {undefined} rows are merged from all changes
   */
  readonly findState?: FindState;
}

/**
 * Opens DuckDB over a lake. Nothing is downloaded: DuckDB's extensions are those that are built in
 * (`parquet`, `json`, `icu`).
 *
 * @param options The lake, and the pending deltas where there are some.
 * @returns The analyst; `VALIDATION_ERROR` where DuckDB refuses an option.
 * @throws {TypeError} Where a query's `asOf` is no stamp or a parameter is an invalid date.
 *
 * @example Ask an empty lake
 * ```ts
 * import { openAnalyst } from "@lakesync/analyst";
 * import { LakeSyncError, err, type LakeReader, ok, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const lake: LakeReader = {
 *   tables: () => Promise.resolve(ok([])),
 *   scan: (table) => Promise.resolve(err(new LakeSyncError("NOT_FOUND", `No table "${table}"`))),
 * };
 * const analyst = unwrapOrThrow(await openAnalyst({ lake }));
 * const answer = unwrapOrThrow(await analyst.query("SELECT $1 + 1 AS n", { params: [41] }));
 * assertEquals(answer.rows, [{ n: 42 }]);
 * await analyst.close();
 * ```
 */
export async function openAnalyst(options: AnalystOptions): Promise<Result<Analyst>> {
  const { store, copyBytes = 2 ** 30, locate = fileLocation, memoryLimit, threads } = options;
  const files = new NativeFiles({ store, copyBytes, locate });
  try {
    const duckDb = await openNativeDuckDb({ files, memoryLimit, threads });
    return ok(new DuckDbAnalyst(duckDb, options));
  } catch (thrown) {
    return err(duckDbError(thrown));
  }
}
