import { setImmediate } from "node:timers";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

/**
 * The one event loop of a simulation. Everything that waits waits here: time passes only from one
 * event to the next, and after each event all that follows from it without waiting is done first.
 * Events at one time run in the order in which they were asked for, so that a run is a function of
 * its seed.
 */
export class VirtualTime {
  #now = 0;
  #orders = 0;
  #stopped = false;
  /** A binary heap, the earliest event first. */
  readonly #heap: Timer[] = [];
  #held: Promise<unknown> | undefined;
  /** How many events ran. */
  events = 0;

  /** Milliseconds since the simulation began. */
  get now(): number {
    return this.#now;
  }

  /** Whether {@linkcode VirtualTime.stop} was called. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Runs something at a time (not before now); the function that is returned calls it off. */
  at(time: number, run: () => void): () => void {
    const timer: Timer = {
      at: Math.max(time, this.#now),
      order: this.#orders++,
      run,
      cancelled: false,
    };
    this.#push(timer);
    return () => timer.cancelled = true;
  }

  /** Resolves so many milliseconds later. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(this.#now + ms, resolve));
  }

  /** No time passes until that has settled: for what has to do real I/O. */
  hold<T>(work: Promise<T>): Promise<T> {
    const before = this.#held;
    this.#held = Promise.allSettled([before, work]);
    return work;
  }

  /** Ends {@linkcode VirtualTime.run} after the present event. */
  stop(): void {
    this.#stopped = true;
  }

  /** Lets time pass until then, or until it is stopped. */
  async run(until: number): Promise<void> {
    for (;;) {
      await this.#settle();
      if (this.#stopped) return;
      const next = this.#heap[0];
      if (next === undefined || next.at > until) break;
      this.#pop();
      if (next.cancelled) continue;
      this.#now = next.at;
      this.events++;
      next.run();
    }
    this.#now = until;
  }

  async #settle(): Promise<void> {
    await turn();
    while (this.#held !== undefined) {
      const held = this.#held;
      await held;
      if (this.#held === held) this.#held = undefined;
      await turn();
    }
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let i = heap.push(timer) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(timer, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Resolves when all microtasks have run, also those that they start in turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(() => resolve())));
}
