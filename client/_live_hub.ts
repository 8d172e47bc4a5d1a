/** What changed: by table the ids of the rows, or undefined where it may be any of them. */
export type Changed = ReadonlyMap<string, ReadonlySet<string> | undefined>;

/** Tells live queries what has changed. */
export class LiveHub {
  readonly #watchers: Set<(changed: Changed) => void> = new Set();
  readonly #closers: Set<() => void> = new Set();
  #closed = false;

  /** Whether no more changes will come. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Calls `changed` after each change, and `closed` at the end; returns how to stop that. */
  watch(changed: (changed: Changed) => void, closed: () => void): () => void {
    this.#watchers.add(changed);
    this.#closers.add(closed);
    return () => {
      this.#watchers.delete(changed);
      this.#closers.delete(closed);
    };
  }

  /** Tells that these rows have changed. */
  changed(changed: Changed): void {
    if (changed.size === 0) return;
    for (const watcher of [...this.#watchers]) watcher(changed);
  }

  /** Ends all watching. */
  close(): void {
    this.#closed = true;
    for (const closer of [...this.#closers]) closer();
    this.#watchers.clear();
    this.#closers.clear();
  }
}
