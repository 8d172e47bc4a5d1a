import type { Clock } from "@lakesync/core";

/** Physical time that never goes back. */
export class StoreClock {
  readonly #clock: Clock;
  #last: number;

  /**
   * Goes on from where it stood.
   *
   * @param clock Where time comes from.
   * @param last No time is to be lower, in ms since the Unix epoch.
   */
  constructor(clock: Clock, last = 0) {
    this.#clock = clock;
    this.#last = last;
  }

  /** The last time that it gave, in ms since the Unix epoch. */
  get last(): number {
    return this.#last;
  }

  /** The time, in whole ms since the Unix epoch. */
  now(): number {
    this.#last = Math.max(this.#last, Math.floor(this.#clock.now()));
    return this.#last;
  }
}
