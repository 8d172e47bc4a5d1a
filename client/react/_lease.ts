import type { Scheduler } from "@lakesync/core";

/** Ends what mounted components share when the last of them has gone. */
export class Lease {
  readonly #scheduler: Scheduler;
  readonly #end: () => void;
  #holders = 0;

  /** @param end Called when nobody holds it any more; it may be held again after that, too. */
  constructor(scheduler: Scheduler, end: () => void) {
    this.#scheduler = scheduler;
    this.#end = end;
  }

  /**
   * Holds it; returns how to let it go. It does not end within the same turn: in StrictMode, and
   * where a key changes, components go and come back at once.
   */
  hold(): () => void {
    let held = true;
    this.#holders++;
    return () => {
      if (!held) return;
      held = false;
      this.#holders--;
      queueMicrotask(() => this.#endIfFree());
    };
  }

  /** Ends it after `ms` unless somebody holds it then: React may drop a render that made it. */
  expire(ms: number): void {
    void this.#scheduler.delay(ms).then(() => this.#endIfFree());
  }

  #endIfFree(): void {
    if (this.#holders === 0) this.#end();
  }
}

/** How long what a render has made waits for a component to be mounted with it, in ms. */
export const UNMOUNTED_MS = 10_000;

/**
 * How long a failure is kept that no mounted component has, in ms: longer than React takes to render
 * once more before it shows an error, shorter than somebody takes to press "try again".
 */
export const FAILED_MS = 100;
