import { err, LakeSyncError, type Result, type Scheduler } from "@lakesync/core";

/** The longest time that timers can measure: a longer one is as good as none. */
export const MAX_MS: number = 2 ** 31 - 1;

/** Options of {@linkcode withTimeLimit}. */
export interface TimeLimitOptions {
  /** After so many ms it is over. */
  readonly ms: number;
  /** Measures them. */
  readonly scheduler: Scheduler;
  /** What the caller is told then. */
  readonly message: string;
}

/**
 * Does something within a time.
 *
 * @param run What to do. Its signal aborts when the time is over, with the error as its reason.
 * @param options The time.
 * @returns What `run` returned, or `TIMEOUT` as soon as the time is over; `run` may go on for a
 * while then.
 */
export async function withTimeLimit<T>(
  run: (signal: AbortSignal) => Promise<Result<T>>,
  options: TimeLimitOptions,
): Promise<Result<T>> {
  const { ms, scheduler, message } = options;
  const ended = new AbortController();
  const over = new AbortController();
  const time = scheduler.delay(Math.min(ms, MAX_MS), { signal: ended.signal }).then(
    (): Result<T> => {
      const error = new LakeSyncError("TIMEOUT", message);
      if (!ended.signal.aborted) over.abort(error);
      return err(error);
    },
  );
  try {
    return await Promise.race([run(over.signal), time]);
  } finally {
    ended.abort();
  }
}
