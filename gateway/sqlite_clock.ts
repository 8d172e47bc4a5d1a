import type { Clock } from "@lakesync/core";
import type { Statements } from "./sqlite_statements.ts";
import { StoreClock } from "./store_clock.ts";

/** The key of the ceiling in `meta`. */
const KEY = "clock";
/** How far ahead of time the ceiling is set: one write a second at the most. */
const STEP_MS = 1_000;

/**
 * The clock of a SQLite log. It never goes back, also over a restart: before it gives a time above
 * the stored ceiling, it stores a higher one, and a restart begins at the ceiling.
 */
export class SqliteClock {
  readonly #clock: StoreClock;
  readonly #statements: Statements;
  #ceiling: number;

  /**
   * Goes on from the stored ceiling.
   *
   * @param clock Where time comes from.
   * @param stored The value of `meta`'s `clock`; undefined in a log that never gave a time.
   * @param statements Where it is stored.
   */
  constructor(clock: Clock, stored: string | undefined, statements: Statements) {
    this.#ceiling = Number(stored ?? 0);
    this.#clock = new StoreClock(clock, this.#ceiling);
    this.#statements = statements;
  }

  /** The time, in ms. To be called outside of transactions: what it stores must not be undone. */
  now(): number {
    const now = this.#clock.now();
    if (now > this.#ceiling) {
      this.#statements.setMeta.run(KEY, String(now + STEP_MS));
      this.#ceiling = now + STEP_MS;
    }
    return now;
  }

  /** Stores the last time, so that the next start does not have to begin at the ceiling. */
  close(): void {
    if (this.#clock.last < this.#ceiling) {
      this.#statements.setMeta.run(KEY, String(this.#clock.last));
    }
  }
}
