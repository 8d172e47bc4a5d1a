/** Listeners by the event's name. One that throws does not keep the others from being called. */
export class Emitter<Events> {
  readonly #listeners: Map<keyof Events, Set<(value: never) => void>> = new Map();
  readonly #onThrow: (thrown: unknown) => void;

  constructor(onThrow: (thrown: unknown) => void) {
    this.#onThrow = onThrow;
  }

  /** Adds a listener; the function that is returned removes it. */
  on<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): () => void {
    let listeners = this.#listeners.get(name);
    if (listeners === undefined) this.#listeners.set(name, listeners = new Set());
    // A wrapper of its own, so that one function can be added twice.
    const entry = (value: Events[Name]) => listener(value);
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  /** Calls an event's listeners. */
  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    for (const listener of [...this.#listeners.get(name) ?? []]) {
      try {
        (listener as (value: Events[Name]) => void)(value);
      } catch (thrown) {
        this.#onThrow(thrown);
      }
    }
  }
}
