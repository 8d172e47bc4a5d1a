/** Tells live queries which tables have changed. */
export class LiveHub {
  readonly #watchers: Set<(tables: ReadonlySet<string>) => void> = new Set();
  readonly #closers: Set<() => void> = new Set();
  #closed = false;

  /** Whether no more changes will come. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Calls `changed` after each change, and `closed` at the end; returns how to stop that. */
  watch(changed: (tables: ReadonlySet<string>) => void, closed: () => void): () => void {
    this.#watchers.add(changed);
    this.#closers.add(closed);
    return () => {
      this.#watchers.delete(changed);
      this.#closers.delete(closed);
    };
  }

  /** Tells that these tables have changed. */
  changed(tables: Iterable<string>): void {
    const set = new Set(tables);
    if (set.size === 0) return;
    for (const watcher of [...this.#watchers]) watcher(set);
  }

  /** Ends all watching. */
  close(): void {
    this.#closed = true;
    for (const closer of [...this.#closers]) closer();
    this.#watchers.clear();
    this.#closers.clear();
  }
}
