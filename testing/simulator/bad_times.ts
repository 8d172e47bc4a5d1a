import type { Prng } from "../prng.ts";
import type { Trace } from "./trace.ts";

/** A time in which something goes wrong with an operation now and then. */
export interface BadTime<Kind> {
  readonly kind: Kind;
  readonly chance: number;
  readonly until: number;
}

const FOR_READS: ReadonlySet<string> = new Set(["unavailable", "fail", "slow"]);

/** What goes wrong with a store's operations. */
export class BadTimes<Kind extends string, Time extends BadTime<Kind> = BadTime<Kind>> {
  readonly #store: string;
  readonly #options: { now: () => number; random: Prng; trace: Trace };
  #times: Time[] = [];

  constructor(store: string, options: { now: () => number; random: Prng; trace: Trace }) {
    this.#store = store;
    this.#options = options;
  }

  /** Whether there was any since the last {@linkcode BadTimes.end}. */
  get any(): boolean {
    return this.#times.length > 0;
  }

  /** Another one begins. */
  add(time: Time): void {
    this.#times.push(time);
  }

  /** All is well from now on. */
  end(): void {
    this.#times = [];
  }

  /** What goes wrong with an operation; undefined where nothing does. */
  draw(name: string, applies: (time: Time) => boolean = () => true): Kind | undefined {
    const { now, random, trace } = this.#options;
    for (const time of this.#times) {
      if (!applies(time) || time.until <= now() || !random.chance(time.chance)) continue;
      const { kind } = time;
      // A read has no answer that would be worth losing.
      if (!FOR_READS.has(kind) && !/put|delete|append|set|trim|commit/.test(name)) continue;
      trace.count(`${this.#store} ${kind}`);
      return kind;
    }
    return undefined;
  }
}
