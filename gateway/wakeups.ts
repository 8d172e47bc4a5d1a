/** The next wake, as one waits for it. */
export interface Wakeup {
  /** Resolves with the wake. */
  readonly woken: Promise<void>;
  /** To be called by who waits no longer: else it is kept in memory until the next wake. */
  forget(): void;
}

/** Tells waiting pulls that the log has grown. */
export class Wakeups {
  readonly #waiting: Set<() => void> = new Set();
  #count = 0;

  /** How many wakes there were. */
  get count(): number {
    return this.#count;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Waits for the next wake. To miss none, take it before looking at the log.
   *
   * @returns The next wake.
   */
  next(): Wakeup {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    return { woken: promise, forget: () => void this.#waiting.delete(resolve) };
  }

  /** Wakes all that wait. */
  wake(): void {
    this.#count++;
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/**
 * Waits for a wake, or until it is over; leaves nothing behind on the signal.
 *
 * @param over Aborts when it is over.
 * @param wakeup The next wake.
 */
export function wokenOr(over: AbortSignal, wakeup: Wakeup): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      over.removeEventListener("abort", go);
      resolve();
    };
    over.addEventListener("abort", go);
    void wakeup.woken.then(go);
  });
}
