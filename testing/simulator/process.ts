import type { Clock, Random, Scheduler } from "@lakesync/core";
import { Prng } from "../prng.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** When the simulated world begins: 2026-01-01T00:00:00Z. */
export const EPOCH_MS: number = Date.UTC(2026, 0, 1);

/** A machine's clock: it may be wrong, jump, and be coarse. */
export class SimClock implements Clock {
  readonly #time: VirtualTime;
  readonly #grainMs: number;
  /** How much it is ahead of true time, in ms. */
  skewMs: number;

  constructor(time: VirtualTime, options: { skewMs: number; grainMs: number }) {
    this.#time = time;
    this.#grainMs = options.grainMs;
    this.skewMs = options.skewMs;
  }

  now(): number {
    const ms = Math.floor(EPOCH_MS + this.#time.now + this.skewMs);
    return ms - ms % this.#grainMs;
  }
}

/**
 * A process that can be killed or frozen between any two awaits. All that its program awaits of the
 * outside goes through here: in a dead process nothing ever resolves, so its program stops where it
 * is; in a frozen one it resolves when the process goes on.
 */
export class SimProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly #time: VirtualTime;
  /** How long things take in this process. */
  readonly #latency: Prng;
  readonly #onKill = new Set<() => void>();
  #alive = true;
  #frozenUntil = 0;
  /** When it stood still. */
  readonly #still: { readonly from: number; until: number }[] = [];

  constructor(
    time: VirtualTime,
    options: { name: string; clock: Clock; seed: bigint },
  ) {
    this.#time = time;
    this.name = options.name;
    this.clock = options.clock;
    this.random = new Prng(options.seed);
    this.#latency = new Prng(options.seed ^ 0x5eedn);
    this.scheduler = {
      delay: (ms, { signal } = {}) => this.#delay(ms, signal),
    };
  }

  /** Whether it was not killed. */
  get alive(): boolean {
    return this.#alive;
  }

  /** It stops where it is. */
  kill(): void {
    this.#alive = false;
    for (const listener of this.#onKill) listener();
    this.#onKill.clear();
  }

  /** It stands still for so long: a long pause of its garbage collector, or of its machine. */
  freeze(ms: number): void {
    const { now } = this.#time;
    const until = Math.max(this.#frozenUntil, now + ms);
    this.#still.push({ from: Math.max(now, Math.min(this.#frozenUntil, until)), until });
    this.#frozenUntil = until;
  }

  /** It goes on at once. */
  thaw(): void {
    this.#frozenUntil = 0;
    for (const still of this.#still) still.until = Math.min(still.until, this.#time.now);
  }

  /** Since when it has been at work for so many milliseconds, not counting those in which it stood still. */
  awakeSince(ms: number): number {
    let { now } = this.#time;
    let left = ms;
    for (const { from, until } of this.#still.toReversed()) {
      if (until <= from) continue;
      if (now - until >= left) break;
      left -= Math.max(0, now - until);
      now = from;
    }
    return now - left;
  }

  /** Called when it is killed; the function that is returned calls that off. */
  onKill(listener: () => void): () => void {
    this.#onKill.add(listener);
    return () => this.#onKill.delete(listener);
  }

  /** Runs something of this process at that time, or later where it is frozen, or never. */
  at(time: number, run: () => void): () => void {
    let cancel = (): void => {};
    const fire = (): void => {
      if (!this.#alive) return;
      if (this.#frozenUntil > this.#time.now) cancel = this.#time.at(this.#frozenUntil, fire);
      else run();
    };
    cancel = this.#time.at(time, fire);
    return () => cancel();
  }

  /** Resolves so many milliseconds later, or never. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(this.#time.now + ms, resolve));
  }

  /** Waits as long as something of about so many milliseconds takes: mostly less, rarely much more. */
  take(ms: number): Promise<void> {
    return this.wait(this.draw(ms));
  }

  /** A time that something of about so many milliseconds takes. */
  draw(ms: number): number {
    const share = this.#latency.u32() / 2 ** 32;
    return this.#latency.chance(0.02) ? ms * 20 * share : ms * share;
  }

  /** True with that probability. */
  chance(probability: number): boolean {
    return this.#latency.chance(probability);
  }

  #delay(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const end = (): void => {
        cancel();
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const cancel = this.at(this.#time.now + Math.max(ms, 0), end);
      signal?.addEventListener("abort", end);
    });
  }
}
