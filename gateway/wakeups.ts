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
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
