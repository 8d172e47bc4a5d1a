/** Counts requests that are not yet answered. */
export class UnderWay {
  #count = 0;
  #idle = Promise.withResolvers<void>();

  /** A request begins; call what is returned once it has ended. */
  begin(): () => void {
    this.#count++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#count--;
      if (this.#count > 0) return;
      this.#idle.resolve();
      this.#idle = Promise.withResolvers<void>();
    };
  }

  /** Resolves when none is under way. */
  none(): Promise<void> {
    return this.#count === 0 ? Promise.resolve() : this.#idle.promise;
  }
}
