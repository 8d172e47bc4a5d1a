/** Tells waiting pulls that the log has grown. */
export class Wakeups {
  #next = Promise.withResolvers<void>();

  /**
   * Resolves with the next wake. To miss none, take it before looking at the log.
   *
   * @returns The promise of the next wake.
   */
  next(): Promise<void> {
    return this.#next.promise;
  }

  /** Wakes all that wait. */
  wake(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers<void>();
  }
}
