import type { Clock, Scheduler } from "@lakesync/core";

/** Between two looks at the clock. */
const LOOK_MS = 10_000;

/** A look that is late by more than this was kept by a sleeping device, not by a busy one. */
const SLEPT_MS = 20_000;

/**
 * Calls a function whenever the device has slept: timers stand still then, and the clock goes on. (A
 * clock that somebody sets forward looks the same; a sync too many does no harm.)
 */
export async function onWake(
  options: { readonly clock: Clock; readonly scheduler: Scheduler; readonly signal: AbortSignal },
  woke: () => void,
): Promise<void> {
  const { clock, scheduler, signal } = options;
  while (!signal.aborted) {
    const before = clock.now();
    await scheduler.delay(LOOK_MS, { signal });
    if (!signal.aborted && clock.now() - before > LOOK_MS + SLEPT_MS) woke();
  }
}
