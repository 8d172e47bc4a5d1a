import { type CompactionEngine, duckdbEngine, streamingEngine } from "@lakesync/adapter-iceberg";
import { err, LakeSyncError, ok, type Result } from "@lakesync/core";

/** What folds changes into current rows. */
export type EngineName = "duckdb" | "streaming";

/**
 * The engine that compacts.
 *
 * @param name Which; undefined: DuckDB where it can be loaded.
 * @returns It; `VALIDATION_ERROR` where DuckDB was asked for and is not there.
 */
export async function maintenanceEngine(
  name: EngineName | undefined,
): Promise<Result<CompactionEngine>> {
  const engine = name === "streaming" ? undefined : await duckdbEngine();
  if (engine !== undefined) return ok(engine);
  if (name !== "duckdb") return ok(streamingEngine());
  return err(
    new LakeSyncError(
      "VALIDATION_ERROR",
      "Cannot compact with DuckDB: @duckdb/node-api cannot be loaded here, take --engine streaming",
    ),
  );
}
