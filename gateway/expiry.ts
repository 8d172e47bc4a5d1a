import { type Clock, LakeSyncError, type Scheduler } from "@lakesync/core";
import type { Caller } from "./caller.ts";

/** Timers take no longer delays than some weeks; and a clock that is set anew is noticed so soon. */
const STEP_MS = 3_600_000;

/** What {@linkcode whenExpired} works with. */
export interface WhenExpiredOptions {
  /** Physical time. */
  readonly clock: Clock;
  /** Waiting. */
  readonly scheduler: Scheduler;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
}

/**
 * Waits until a caller's token has run out.
 *
 * @param caller The caller; one without a token never expires.
 * @param options The clock.
 * @returns Whether it has; false where the signal came first.
 */
export async function whenExpired(caller: Caller, options: WhenExpiredOptions): Promise<boolean> {
  const { clock, scheduler, signal } = options;
  if (caller.sub === undefined) return false;
  for (;;) {
    if (signal.aborted) return false;
    const left = caller.expiresAt - clock.now();
    if (left <= 0) return true;
    await scheduler.delay(Math.min(left, STEP_MS), { signal });
  }
}

/** What a stream ends with when its token runs out. */
export function expiredError(): LakeSyncError {
  return new LakeSyncError("UNAUTHENTICATED", "The token has expired: come again with a new one");
}
