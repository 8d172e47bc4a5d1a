/** Those who want to know that a store has changed. */
export class Subscribers {
  readonly #listeners = new Set<{ readonly call: () => void }>();

  /**
   * Adds a listener, also one that is there already: then it is called twice.
   *
   * @param listener Who is to be called.
   * @returns Takes it out again.
   */
  add(listener: () => void): () => void {
    const entry = { call: listener };
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  /** Calls all of them. What one throws is its own affair: neither the store nor the others suffer. */
  notify(): void {
    for (const { call } of this.#listeners) {
      try {
        call();
      } catch {
        // The port forbids it, and there is nobody here who could be told.
      }
    }
  }
}
