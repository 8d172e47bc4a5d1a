import { setImmediate } from "node:timers";
import type { Clock, Scheduler } from "@lakesync/core";

interface Timer {
  readonly due: number;
  readonly resolve: () => void;
}

/** Where a {@linkcode ManualClock} starts: 2025-01-01T00:00:00Z. */
const DEFAULT_START_MS = Date.UTC(2025, 0, 1);

/**
 * A clock and scheduler whose time stands still until a test moves it.
 *
 * Timers run on time that has passed, not on the wall clock, so {@linkcode ManualClock.set} can put
 * the wall clock right, or wrong, without firing or delaying any.
 *
 * @example Nobody waits
 * ```ts
 * import { ManualClock } from "@lakesync/testing";
 * import { assert } from "@std/assert";
 *
 * const clock = new ManualClock();
 * let rang = false;
 * clock.delay(3_600_000).then(() => rang = true);
 * await clock.advance(3_600_000);
 * assert(rang);
 * ```
 */
export class ManualClock implements Clock, Scheduler {
  #now: number;
  #passed = 0;
  #advancing = false;
  // In order of registration, which is the order in which timers due at one time fire.
  readonly #timers: Set<Timer> = new Set();

  /** @param startMs The wall clock at first, in milliseconds since 1970. */
  constructor(startMs: number = DEFAULT_START_MS) {
    this.#now = startMs;
  }

  /** How many delays are waiting. */
  get pending(): number {
    return this.#timers.size;
  }

  /** The wall clock, in milliseconds since 1970. */
  now(): number {
    return this.#now;
  }

  /** Puts the wall clock to a time, also an earlier one. No time passes for timers. */
  set(nowMs: number): void {
    this.#now = nowMs;
  }

  /** Resolves when that time has been advanced, or at once when the signal aborts or `ms <= 0`. */
  delay(ms: number, options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    if (signal?.aborted || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        this.#timers.delete(timer);
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const timer: Timer = { due: this.#passed + ms, resolve: end };
      this.#timers.add(timer);
      signal?.addEventListener("abort", end);
    });
  }

  /**
   * Lets time pass. Timers fire in the order in which they are due; after each, everything that
   * follows from it without I/O is done before time goes on, and timers that this starts fire too
   * if they are due.
   *
   * @param ms How many milliseconds; with 0 only what is ready is done.
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new TypeError(`Cannot advance the clock by ${ms} ms: time can't go back`);
    if (this.#advancing) throw new TypeError("Cannot advance the clock: it is being advanced");
    this.#advancing = true;
    try {
      const end = this.#passed + ms;
      for (;;) {
        await settle();
        const timer = this.#earliest();
        if (timer === undefined || timer.due > end) break;
        this.#pass(timer.due);
        timer.resolve();
      }
      this.#pass(end);
    } finally {
      this.#advancing = false;
    }
  }

  #pass(until: number): void {
    this.#now += until - this.#passed;
    this.#passed = until;
  }

  #earliest(): Timer | undefined {
    let earliest: Timer | undefined;
    for (const timer of this.#timers) {
      if (earliest === undefined || timer.due < earliest.due) earliest = timer;
    }
    return earliest;
  }
}

/** Resolves when all microtasks have run, also those that they start in turn. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve()));
}
