import { ahead } from "./compact_ahead.ts";
import { foldBucket, mayStay } from "./compact_bucket.ts";
import { bucketsOf, CHANGES_AT_ONCE } from "./compact_changes.ts";
import type { CompactionEngine } from "./compact_engine.ts";

/** Buckets whose files stay that are folded at once: one is read while another is worked on. */
const AT_ONCE = 2;

/** Options of {@linkcode streamingEngine}. */
export interface StreamingEngineOptions {
  /**
   * About how many changes are held at once. Where there are more, they are parted by buckets first,
   * into temporary files.
   *
   * @default {250_000}
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
  const { changesAtOnce = CHANGES_AT_ONCE } = options;
  return {
    name: "streaming",
    async *fold(job) {
      yield* ahead(bucketsOf(job, changesAtOnce), {
        work: (one) => foldBucket(job, one),
        atOnce: AT_ONCE,
        // Memory is for the rows of one bucket.
        aloneIf: (one) => !(job.stays && mayStay(job, one)),
      });
    },
  };
}
