import { ok, type Result } from "@lakesync/core";

/** Objects that are put at once: the store is busy while the next ones are made. */
const AT_ONCE = 4;

/** Puts objects beside other work, a few at a time. */
export class Puts {
  readonly #running: Set<Promise<void>> = new Set();
  #failed: Result<never> | undefined;

  /** Begins to put, once there is room; does nothing any more after a failure. */
  async add(put: () => Promise<Result<unknown>>): Promise<Result<void>> {
    while (this.#running.size >= AT_ONCE) await Promise.race(this.#running);
    if (this.#failed !== undefined) return this.#failed;
    const running = this.#follow(put).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return ok(undefined);
  }

  /** Waits for all that was begun; the first failure, if there was one. */
  async end(): Promise<Result<void>> {
    await Promise.all(this.#running);
    return this.#failed ?? ok(undefined);
  }

  async #follow(put: () => Promise<Result<unknown>>): Promise<void> {
    const result = await put();
    if (!result.ok) this.#failed ??= result;
  }
}
