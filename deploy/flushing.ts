import type { Logger, Scheduler } from "@lakesync/core";
import type { Gateway } from "@lakesync/gateway";

/**
 * Flushes gateways every so often.
 *
 * @param gateways The gateways.
 * @param options How often, and until when.
 * @returns Resolves when the signal has ended it, after the flush under way.
 */
export async function flushRegularly(
  gateways: readonly Gateway[],
  options: { everyMs: number; scheduler: Scheduler; logger: Logger; signal: AbortSignal },
): Promise<void> {
  const { everyMs, scheduler, logger, signal } = options;
  for (;;) {
    await scheduler.delay(everyMs, { signal });
    if (signal.aborted) return;
    for (const gateway of gateways) await flushOnce(gateway, logger);
  }
}

/** Flushes a gateway's log and tells of it. */
export async function flushOnce(gateway: Gateway, logger: Logger): Promise<void> {
  const flushed = await gateway.flush();
  if (!flushed.ok) {
    const { code, message } = flushed.error;
    logger.log("error", "flush.failed", { gateway: gateway.id, code, message });
  } else if (flushed.value.deltas > 0) {
    logger.log("info", "flush.done", { gateway: gateway.id, ...flushed.value });
  }
}
