import {
  type Clock,
  err,
  LakeSyncError,
  type Random,
  type Result,
  systemClock,
  systemRandom,
  toLakeSyncError,
  type Watermark,
} from "@lakesync/core";
import { catalogueOf, type LakePlace } from "./catalogue_files.ts";
import type { CompactionEngine } from "./compact_engine.ts";
import { streamingEngine } from "./compact_fold.ts";
import { Compaction } from "./compact_run.ts";
import { damaged } from "./commit.ts";

/** How often a compaction is planned anew while others commit to the state table. */
const TRIES = 5;

/** Options of {@linkcode compactTable}. */
export interface CompactTableOptions extends LakePlace {
  /** The app's table. */
  readonly table: string;
  /**
   * What folds.
   *
   * @default {streamingEngine()}
   */
  readonly engine?: CompactionEngine;
  /**
   * How many buckets a new state table gets.
   *
   * @default {undefined} one for about 50,000 changes, at least 16
   */
  readonly buckets?: number;
  /**
   * `rewrite`: the files of buckets with changes are replaced; any reader knows such tables.
   *
   * With the others, where few of a bucket's rows changed its files stay, and a file beside them tells
   * which of their rows are gone: `positions` says where they were, `vectors` the same in bitmaps (for
   * ever makes the table one of format version 3, where `positions` means them, too), and `equality`
   * their ids, which few engines read. That takes a fraction of the time and gives readers more to do.
   *
   * @default {"rewrite"}
   */
  readonly deletes?: "rewrite" | "positions" | "vectors" | "equality";
  /**
   * Only tell what there is to do.
   *
   * @default {false}
   */
  readonly dryRun?: boolean;
  /**
   * Tells when a snapshot was made.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Makes snapshot ids and file names.
   *
   * @default {systemRandom}
   */
  readonly random?: Random;
  /** Stops it between buckets. */
  readonly signal?: AbortSignal;
}

/** What became of a {@linkcode compactTable}. */
export type CompactOutcome =
  /** The lake has no changes of this table. */
  | { readonly status: "absent" }
  /** All changes are folded in already. */
  | { readonly status: "current"; readonly watermark: Watermark | undefined }
  /** The changes of these files are folded in; in a dry run, would be. */
  | {
    readonly status: "compacted";
    /** Everything of this epoch up to this seq is in the rows. */
    readonly watermark: Watermark | undefined;
    /** Changes that were read. */
    readonly changes: number;
    /** Buckets whose files were replaced; 0 in a dry run, that reads no data. */
    readonly buckets: number;
    /** Bytes of new files. */
    readonly bytes: number;
  };

/**
 * Folds a changelog's new changes into the table's current rows (docs/lake.md, *Current rows*).
 *
 * Rows, the stamps that later changes are merged by, and how far the table is are one commit, valid
 * only on the version that it starts from: so it may be killed at any time, run twice, and run beside
 * flushes and other compactions. What a killed one leaves behind no snapshot names.
 *
 * @param options The lake and the table.
 * @returns What was done; `CORRUPT` where files are damaged, `CONFLICT` where a table is not what
 * LakeSync makes or others keep on committing, `STORAGE_ERROR`, `ABORTED`.
 *
 * @example Nothing to fold
 * ```ts
 * import { compactTable } from "@lakesync/adapter-iceberg";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const outcome = unwrapOrThrow(await compactTable({ store: memoryObjectStore(), table: "todos" }));
 * assertEquals(outcome, { status: "absent" });
 * ```
 */
export async function compactTable(options: CompactTableOptions): Promise<Result<CompactOutcome>> {
  const { table, engine = streamingEngine(), buckets, dryRun = false, signal } = options;
  const { clock = systemClock, random = systemRandom, deletes = "rewrite" } = options;
  const catalogue = catalogueOf(options);
  if (buckets !== undefined && (!Number.isInteger(buckets) || buckets < 1 || buckets > 65_536)) {
    throw new TypeError(`Cannot make ${buckets} buckets: choose a whole number from 1 to 65536`);
  }
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const run = new Compaction({
      catalogue,
      clock,
      random,
      engine,
      table,
      buckets,
      deletes,
      signal,
    });
    try {
      const outcome = await run.run(dryRun);
      if (!outcome.ok) await run.discard();
      if (!outcome.ok || outcome.value.status !== "lost") return outcome as Result<CompactOutcome>;
      await run.discard();
    } catch (thrown) {
      await run.discard();
      return err(
        thrown instanceof RangeError ? damaged(table, thrown) : toLakeSyncError(thrown, "INTERNAL"),
      );
    }
  }
  return err(
    new LakeSyncError(
      "CONFLICT",
      `Cannot compact "${table}": others committed to it ${TRIES} times meanwhile, try again`,
    ),
  );
}
