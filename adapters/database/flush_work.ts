import type { DestinationStats, Result, TableSchema } from "@lakesync/core";

/** What is done behind a destination's flushes. None of it makes a flush fail, or wait for the work. */
export interface FlushWork {
  /** Begins what a process before this one has left. */
  resume(): Promise<void>;
  /** Keeps that these tables may have to be seen to: before they are written. */
  hold(schemas: readonly TableSchema[]): Promise<void>;
  /** Has these of them seen to, which were written; the others are let go. */
  start(tables: ReadonlySet<string>): Promise<void>;
  /** What was done, waits and fails. */
  stats(): Promise<Result<DestinationStats>>;
  /** Resolves when nothing is left that this process does. */
  idle(): Promise<void>;
  /** Ends it; what waits stays kept. */
  close(): Promise<void>;
}
