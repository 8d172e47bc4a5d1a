import type { Delta } from "../delta.ts";
import type { LakeSyncError } from "../errors.ts";
import type { Result } from "../result.ts";
import type { TableSchema } from "../schema.ts";

/** How far a destination's table is: everything of this epoch up to and with `seq` is in it. */
export interface Watermark {
  /** The log store's epoch. */
  readonly epoch: string;
  /** The last seq. */
  readonly seq: number;
  /**
   * The log's running hash at `seq`, by which a log that was restored from a backup is told from the
   * one that the table was written from. A destination keeps it with the rest and does not compare it;
   * left out where it is not known: of tables that were written before there was one, or by none.
   */
  readonly hash?: string;
}

/** An entry on its way into a destination. */
export interface FlushEntry {
  /** Its place in the log. */
  readonly seq: number;
  /** When the gateway appended it, ms since the Unix epoch. */
  readonly at: number;
  /** The delta. */
  readonly delta: Delta;
}

/** A table's part in a flush. */
export interface FlushTable {
  /** Its schema of today. */
  readonly schema: TableSchema;
  /** The newest watermark the table had when the batch was planned; undefined for a new table. */
  readonly from: Watermark | undefined;
}

/** A stretch of the log for a destination. */
export interface FlushBatch {
  /** Names this batch; the same when it is tried again. */
  readonly id: string;
  /** The watermark that every table in `tables` has once it is committed. */
  readonly to: Watermark;
  /** The tables that this batch may touch, by name. */
  readonly tables: ReadonlyMap<string, FlushTable>;
  /** The entries in seq order, in bounded chunks, each table's only above its `from`. Read once. */
  readonly entries: AsyncIterable<readonly FlushEntry[]>;
  /** Stops the write between commits. */
  readonly signal?: AbortSignal;
}

/** What became of a table in a flush. */
export type FlushOutcome =
  /** Data and watermark are committed together. */
  | {
    readonly status: "committed";
    readonly deltas: number;
    readonly objects: number;
    readonly bytes: number;
  }
  /** The batch had nothing for this table; its watermark stays. */
  | { readonly status: "empty" }
  /** The newest watermark was not `from`: nothing was written. Plan anew from `watermark`. */
  | { readonly status: "moved"; readonly watermark: Watermark | undefined }
  /** Nothing of this table was committed, as far as is known; a retry finds out from the watermark. */
  | { readonly status: "failed"; readonly error: LakeSyncError };

/** What a destination does behind flushes, as operators see it. */
export interface DestinationStats {
  /** How many jobs were done. */
  readonly done: number;
  /** The tables of which a job waits or runs, or something has to be told. */
  readonly tables: ReadonlyMap<string, TableJobStats>;
}

/** What is done behind flushes for a table. */
export interface TableJobStats {
  /** Whether a job waits or runs. */
  readonly waiting: boolean;
  /** How often it has failed in a row. */
  readonly attempts: number;
  /** Why, the last time; left out where it did not. */
  readonly error?: LakeSyncError;
  /** By column, how many values it could not hold when last looked at; left out for none. */
  readonly misfits?: ReadonlyMap<string, number>;
}

/**
 * Where flushes go. A table's data and its watermark are one commit, and a commit is valid only on
 * top of the watermark that it starts from: so a crash, a second flusher or a lost answer neither
 * loses nor doubles a delta.
 */
export interface Destination {
  /** Names it in stats and logs. */
  readonly name: string;
  /** The newest committed watermark of each of these tables; none for those that have no table yet. */
  watermarks(tables: readonly string[]): Promise<Result<ReadonlyMap<string, Watermark>>>;
  /** Writes a batch; the outcome of each of its tables, by name. */
  write(batch: FlushBatch): Promise<Result<ReadonlyMap<string, FlushOutcome>>>;
  /** What it does behind flushes, where it does something. Answers soon: who asks waits for a moment only. */
  stats?(): Promise<Result<DestinationStats>>;
}
