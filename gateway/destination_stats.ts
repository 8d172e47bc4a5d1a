import type { Destination, DestinationStats, ErrorCode, Result, Scheduler } from "@lakesync/core";
import type { LaneFailure } from "./flush_lane.ts";

/** How long stats wait for a destination, in ms. */
const MOMENT_MS = 2_000;

/** What something failed with, as operators see it. */
export interface FailureStats {
  /** How often in a row. */
  readonly attempts: number;
  /** The last failure. */
  readonly error: { readonly code: ErrorCode; readonly message: string };
}

/** What an operator sees of a destination. */
export interface DestinationState extends Partial<FailureStats> {
  /** It has everything up to this seq. */
  readonly flushedSeq: number;
  /** How many entries it lacks. */
  readonly lag: number;
  /** Whether it needs entries that the log no longer has. */
  readonly cutOff: boolean;
  /** What it does behind flushes: tables for people that it keeps, say. */
  readonly behind?: {
    /** How many jobs were done. */
    readonly done: number;
    /** Tables of which a job waits or runs, or something has to be told. */
    readonly tables: { readonly [table: string]: TableState };
  };
}

/** What an operator sees of a table behind flushes. */
export interface TableState extends Partial<FailureStats> {
  /** Whether a job waits or runs. */
  readonly waiting: boolean;
  /** By column, how many values it could not hold; they are exact beside it. */
  readonly misfits?: { readonly [column: string]: number };
}

/** What an operator sees of a destination. */
export async function destinationState(
  destination: Destination,
  of: {
    flushedSeq: number;
    head: number;
    trimmed: number;
    failure: LaneFailure | undefined;
    scheduler: Scheduler;
  },
): Promise<DestinationState> {
  const { flushedSeq, head, trimmed, failure, scheduler } = of;
  const behind = await statsOf(destination, scheduler);
  return {
    flushedSeq,
    lag: head - flushedSeq,
    cutOff: flushedSeq < trimmed,
    ...failureState(failure),
    ...(behind?.ok === true && { behind: behindState(behind.value) }),
  };
}

/** What a destination tells within a moment; one that does not is told of by its flushes. */
async function statsOf(
  destination: Destination,
  scheduler: Scheduler,
): Promise<Result<DestinationStats> | undefined> {
  if (destination.stats === undefined) return undefined;
  const ended = new AbortController();
  const moment = scheduler.delay(MOMENT_MS, { signal: ended.signal });
  const stats = await Promise.race([destination.stats(), moment.then(() => undefined)]);
  ended.abort();
  return stats;
}

function behindState({ done, tables }: DestinationStats): NonNullable<DestinationState["behind"]> {
  const states = Array.from(tables, ([table, { waiting, misfits, ...failure }]) => {
    const state: TableState = {
      waiting,
      ...failureState(failure),
      ...(misfits !== undefined && { misfits: Object.fromEntries(misfits) }),
    };
    return [table, state] as const;
  });
  return { done, tables: Object.fromEntries(states) };
}

function failureState(failure: Partial<LaneFailure> | undefined): Partial<FailureStats> {
  const { attempts = 0, error } = failure ?? {};
  if (error === undefined) return {};
  return { attempts, error: { code: error.code, message: error.message } };
}
