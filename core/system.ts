/**
 * The machine's own clock, timers and chance: the one file in which library code touches them.
 */
import type { Clock, Logger, Random, Scheduler } from "./ports.ts";

/** The machine's clock. */
export const systemClock: Clock = { now: () => Date.now() };

/** The machine's timers. */
export const systemScheduler: Scheduler = {
  delay(ms, options = {}) {
    const { signal } = options;
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer: unknown = setTimeout(done, ms);
      signal?.addEventListener("abort", done);
      unref(timer);
    });
  },
};

function clearTimeout(timer: unknown): void {
  globalThis.clearTimeout(timer as number);
}

/** Keeps a pending timer from holding a process open, where the runtime has processes. */
function unref(timer: unknown): void {
  const handle = timer as { unref?: () => void };
  if (typeof timer === "object" && timer !== null) handle.unref?.();
  else {
    const deno = (globalThis as { Deno?: { unrefTimer?: (id: number) => void } }).Deno;
    deno?.unrefTimer?.(timer as number);
  }
}

/** The machine's source of chance. */
export const systemRandom: Random = {
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  uuid: () => crypto.randomUUID(),
};

/** A logger that says nothing. */
export const silentLogger: Logger = { log: () => {} };
