import type { Wakeups } from "./wakeups.ts";

/**
 * Reads that many wait for at once, done once: a change wakes a thousand streams that stand at one
 * place and see the same. Two share a read only where no wake lies between their beginnings, so
 * whatever the read may have missed will wake them both.
 */
export class SharedReads<T> {
  readonly #wakeups: Wakeups;
  readonly #underWay: Map<string, Promise<T>> = new Map();

  constructor(wakeups: Wakeups) {
    this.#wakeups = wakeups;
  }

  /**
   * Reads something, or joins who is at it.
   *
   * @param what Names all that the outcome depends on, but for the log.
   * @param read Reads it.
   * @returns The outcome.
   */
  read(what: string, read: () => Promise<T>): Promise<T> {
    const key = `${this.#wakeups.count} ${what}`;
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay;
    const begun = read().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, begun);
    return begun;
  }
}
