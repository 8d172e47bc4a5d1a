import type {
  Destination,
  DestinationStats,
  ErrorCode,
  LakeSyncError,
  LogSeq,
  Result,
  Scheduler,
} from "@lakesync/core";
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
  /** Its tables that fail where others go on, and why; left out for none. */
  readonly failing?: { readonly [table: string]: FailureStats["error"] };
  /** What it does behind flushes: tables for people that it keeps, say. */
  readonly behind?: {
    /** How many jobs were done. */
    readonly done: number;
    /** Tables of which a job waits or runs, or something has to be told. */
    readonly tables: { readonly [table: string]: TableState };
  };
}

/** What an operator sees of a destination that all shards of a router have. */
export interface SharedDestinationState extends Omit<DestinationState, "flushedSeq"> {
  /** How far it is, by shard. */
  readonly flushedSeq: LogSeq;
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
    ...(failure !== undefined && failure.tables.size > 0 && { failing: failingOf(failure) }),
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

function failureState(
  failure: Partial<Pick<LaneFailure, "attempts" | "error">> | undefined,
): Partial<FailureStats> {
  const { attempts = 0, error } = failure ?? {};
  return error === undefined ? {} : { attempts, error: errorState(error) };
}

function failingOf({ tables }: LaneFailure): NonNullable<DestinationState["failing"]> {
  return Object.fromEntries(Array.from(tables, ([table, error]) => [table, errorState(error)]));
}

function errorState({ code, message }: LakeSyncError): FailureStats["error"] {
  return { code, message };
}

/**
 * A destination of several shards as one: of each it has other tables.
 *
 * @param shards How it is for each, by the shards' ids.
 * @returns All of it; what fails is that of the shard that fails most often in a row.
 */
export function joinedState(
  shards: ReadonlyMap<string, DestinationState>,
): SharedDestinationState {
  const states = [...shards.values()];
  const { attempts, error } = states.toSorted((a, b) => (b.attempts ?? 0) - (a.attempts ?? 0))[0]!;
  const failing = states.flatMap(({ failing = {} }) => Object.entries(failing));
  const behind = states.flatMap(({ behind }) => behind ?? []);
  return {
    flushedSeq: Object.fromEntries(Array.from(shards, ([id, { flushedSeq }]) => [id, flushedSeq])),
    lag: states.reduce((sum, { lag }) => sum + lag, 0),
    cutOff: states.some(({ cutOff }) => cutOff),
    ...(error !== undefined && { attempts, error }),
    ...(failing.length > 0 && { failing: Object.fromEntries(failing) }),
    ...(behind.length > 0 && {
      behind: {
        done: behind.reduce((sum, { done }) => sum + done, 0),
        tables: Object.fromEntries(behind.flatMap(({ tables }) => Object.entries(tables))),
      },
    }),
  };
}
