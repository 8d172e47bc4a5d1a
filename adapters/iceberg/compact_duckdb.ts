import { ahead } from "./compact_ahead.ts";
import { bucketsOf, CHANGES_AT_ONCE } from "./compact_changes.ts";
import { type BucketChanges, foldBucket, mayStay } from "./compact_bucket.ts";
import type { CompactionEngine, CompactionJob, FoldedBucket } from "./compact_engine.ts";
import { DuckDbFiles } from "./duckdb_files.ts";

/** Buckets that are folded at once; DuckDB rewrites each by one thread. */
const AT_ONCE = 2;

/** Options of {@linkcode duckdbEngine}. */
export interface DuckDbEngineOptions {
  /**
   * The most memory that DuckDB takes; beyond that it works on disk.
   *
   * @default {268_435_456} 256 MiB
   */
  readonly memoryBytes?: number;
  /**
   * About how many changes are held at once. See {@linkcode StreamingEngineOptions}.
   *
   * @default {250_000}
   */
  readonly changesAtOnce?: number;
}

/**
 * Rewrites buckets with DuckDB (`@duckdb/node-api`), natively and on several cores: rows that did not
 * change never enter JavaScript. Changed ones are found and merged as {@linkcode streamingEngine}
 * does it, and so are buckets whose files stay or that are new.
 *
 * @param options How much memory it takes.
 * @returns The engine; undefined where DuckDB cannot be loaded here.
 *
 * @example Compact natively where that can be
 * ```ts
 * import { compactTable, duckdbEngine, streamingEngine } from "@lakesync/adapter-iceberg";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const engine = await duckdbEngine() ?? streamingEngine();
 * const store = memoryObjectStore();
 * const outcome = unwrapOrThrow(await compactTable({ store, table: "todos", engine }));
 * assertEquals(outcome.status, "absent");
 * ```
 */
export async function duckdbEngine(
  options: DuckDbEngineOptions = {},
): Promise<CompactionEngine | undefined> {
  const { memoryBytes = 256 * 1024 * 1024, changesAtOnce = CHANGES_AT_ONCE } = options;
  if (!await DuckDbFiles.loads()) return undefined;
  return {
    name: "duckdb",
    async *fold(job) {
      const files = new DuckDbFiles(job, { memoryBytes, threads: AT_ONCE });
      try {
        const work = (one: BucketChanges) => fold(files, job, one);
        yield* ahead(bucketsOf(job, changesAtOnce), { work, atOnce: AT_ONCE });
      } finally {
        await files.close();
      }
    },
  };
}

async function fold(
  files: DuckDbFiles,
  job: CompactionJob,
  one: BucketChanges,
): Promise<FoldedBucket> {
  const old = job.live.get(one.bucket) ?? [];
  if (old.length === 0 || (job.stays && mayStay(job, one))) return await foldBucket(job, one);
  const staged = await files.stage(old);
  try {
    const { deleted, live, ...folded } = await foldBucket(
      { ...job, store: staged.store },
      one,
      { stays: true },
    );
    if (live === undefined || deleted === undefined) return { ...folded, live };
    return { ...folded, live: await files.rewrite(staged, { bucket: one.bucket, live, deleted }) };
  } finally {
    await staged.release();
  }
}
