import { type Logger, type LogStore, ok, type Result } from "@lakesync/core";
import type { GatewayLimits } from "./limits.ts";

/** Who still needs the log, and how much of it is kept for them. */
export interface RetentionOptions {
  /** How far each destination is, by its name. */
  readonly destinations: ReadonlyMap<string, number>;
  /** How long. */
  readonly limits: Pick<GatewayLimits, "retentionMs" | "maxLagMs" | "maxLagEntries">;
  /** Told when a destination is cut off. */
  readonly logger: Logger;
}

/**
 * Trims the log: what is older than the retention time and what every destination has. One that is
 * further behind than its allowed lag is waited for no longer: it is cut off, with an alarm, and
 * rebuilt later.
 *
 * @param store The log.
 * @param options Who still needs it.
 * @returns The seq up to which it was trimmed, or had been before.
 */
export async function trimLog(store: LogStore, options: RetentionOptions): Promise<Result<number>> {
  const { destinations, limits, logger } = options;
  const now = await store.now();
  if (!now.ok) return now;
  const old = await store.seqBefore(now.value - limits.retentionMs);
  if (!old.ok) return old;
  const stats = await store.stats();
  if (!stats.ok) return stats;
  const { head, trimmed } = stats.value;
  const longAgo = await store.seqBefore(now.value - limits.maxLagMs);
  if (!longAgo.ok) return longAgo;
  const least = Math.max(longAgo.value, head - limits.maxLagEntries);
  let through = old.value;
  for (const seq of destinations.values()) if (seq >= least) through = Math.min(through, seq);
  if (through <= trimmed) return ok(trimmed);
  const done = await store.trim({ through });
  if (!done.ok) return done;
  for (const [destination, seq] of destinations) {
    // Behind the trim it was cut off before.
    if (seq < trimmed || seq >= through) continue;
    logger.log("error", "destination.cut-off", {
      destination,
      flushedSeq: seq,
      trimmedSeq: through,
      message: "It is further behind than its allowed lag, so the log no longer waits for it: " +
        "mend it, drop its tables, and the next flush rebuilds them",
    });
  }
  return ok(through);
}
