import type { Result, Watermark } from "@lakesync/core";

/** Where a table's current rows are in a lake (docs/lake.md, *Current rows*). */
export interface StatePlace {
  /** The name in the lake. */
  readonly table: string;
  /** The snapshot with the rows that show. */
  readonly live: bigint;
  /** The snapshot with those that do not; undefined where there are none. */
  readonly hidden: bigint | undefined;
  /** Everything of this epoch up to this seq is in them, and all that the changelog had before it. */
  readonly watermark: Watermark;
  /** The changelog's snapshot that they were made of. */
  readonly changes: bigint;
}

/** Finds a table's current rows by its name in the app; undefined where there are none. */
export type FindState = (table: string) => Promise<Result<StatePlace | undefined>>;
