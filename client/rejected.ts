import type { Result } from "@lakesync/core";
import type { DeadLetter } from "./status.ts";

/** The changes that the gateway rejected for good: undone here, and kept until the app decides. */
export interface Rejected {
  /** All of them, oldest first. */
  list(): Promise<Result<DeadLetter[]>>;
  /**
   * Makes changes again, as if the app made them now: as one transaction, on the rows as they are now.
   *
   * @param deltaIds The ids of the letters' deltas.
   * @returns How many were made, those that are gone already left out; `NOT_FOUND` where an UPDATE's
   * row is not there any more. After a failure all letters stay.
   */
  retry(deltaIds: readonly string[]): Promise<Result<number>>;
  /**
   * Forgets changes.
   *
   * @param deltaIds The ids of the letters' deltas.
   * @returns How many there were.
   */
  drop(deltaIds: readonly string[]): Promise<Result<number>>;
}
