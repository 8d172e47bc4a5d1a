import { LakeSyncError } from "@lakesync/core";
import { foldBucket } from "./compact_bucket.ts";
import { groupBuckets, readChanges } from "./compact_changes.ts";
import type { CompactionEngine } from "./compact_engine.ts";

/** Options of {@linkcode streamingEngine}. */
export interface StreamingEngineOptions {
  /**
   * About how many changes are held at once. Where there are more, the changelog's new files are
   * read several times, each time for some of the buckets.
   *
   * @default {100_000}
   */
  readonly changesAtOnce?: number;
}

/**
 * Folds changes in TypeScript, a bucket at a time: what it holds is so many changes and the rows of
 * one bucket.
 *
 * @param options How much it holds.
 * @returns The engine.
 *
 * @example Compact with less memory
 * ```ts
 * import { compactTable, filesCatalogue, streamingEngine } from "@lakesync/adapter-iceberg";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const catalogue = filesCatalogue(memoryObjectStore());
 * const engine = streamingEngine({ changesAtOnce: 50_000 });
 * const outcome = unwrapOrThrow(await compactTable({ catalogue, table: "todos", engine }));
 * assertEquals(outcome.status, "absent");
 * ```
 */
export function streamingEngine(options: StreamingEngineOptions = {}): CompactionEngine {
  const { changesAtOnce = 100_000 } = options;
  return {
    async *fold(job) {
      for (const group of await groupBuckets(job, changesAtOnce)) {
        const changes = await readChanges(job, group);
        for (const [bucket, places] of changes.places) {
          if (job.signal?.aborted === true) {
            throw new LakeSyncError("ABORTED", "Stopped a compaction: its signal was aborted", {
              cause: job.signal.reason,
            });
          }
          yield await foldBucket(job, { bucket, changes, places });
        }
      }
    },
  };
}
