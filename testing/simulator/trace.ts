import { createHash } from "node:crypto";

/**
 * What happened, event by event. Its hash tells whether two runs were the same; its lines are kept
 * only where somebody will read them.
 */
export class Trace {
  readonly #hash = createHash("sha256");
  readonly #lines: string[] | undefined;
  readonly #counts = new Map<string, number>();
  readonly #now: () => number;
  #digest: string | undefined;

  constructor(options: { now: () => number; keepLines: boolean }) {
    this.#now = options.now;
    this.#lines = options.keepLines ? [] : undefined;
  }

  /** Notes an event. `body` goes into the hash whole, into the line in short. */
  note(who: string, what: string, body: string = ""): void {
    if (this.#digest !== undefined) return;
    const head = `${this.#now().toFixed(3).padStart(12)} ${who.padEnd(10)} ${what}`;
    this.#hash.update(`${head}\n${body}\n`);
    if (this.#lines === undefined) return;
    this.#lines.push(
      body === "" ? head : `${head} ${body.length > 400 ? `${body.slice(0, 400)}…` : body}`,
    );
  }

  /** Counts something that has to happen now and then. */
  count(what: string, times: number = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + times);
  }

  /** How often what happened. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** The kept lines. */
  get lines(): readonly string[] {
    return this.#lines ?? [];
  }

  /** The hash of all that was noted; what comes afterwards is not noted any more. */
  digest(): string {
    return this.#digest ??= this.#hash.digest("hex").slice(0, 16);
  }
}

/** A promise that was broken. */
export interface Violation {
  /** Which: the same for every run in which it is broken. */
  readonly promise: string;
  /** How. */
  readonly details: string;
}
