import {
  type Clock,
  type Hlc,
  HybridClock,
  isHlc,
  type LogStore,
  ok,
  packHlc,
  type Result,
  unpackHlc,
} from "@lakesync/core";

const KEY = "clock";
/** How far ahead of time the stored ceiling is set: one write a second at the most. */
const STEP_MS = 1_000;

/**
 * The clock that answers carry as `serverHlc`. It never goes back, also over a restart or when the
 * wall clock is set back: before it gives a stamp above the stored ceiling, it stores a higher one.
 * It takes no notice of clients' stamps, so that no client can push it ahead.
 */
export class ServerClock {
  readonly #store: LogStore;
  readonly #hybrid: HybridClock;
  #ceilingMs: number;
  /** The write that is under way: all that wait for it share it. */
  #raising: Promise<Result<void>> | undefined;

  private constructor(store: LogStore, hybrid: HybridClock, ceilingMs: number) {
    this.#store = store;
    this.#hybrid = hybrid;
    this.#ceilingMs = ceilingMs;
  }

  /** Opens the clock of a store. */
  static async open(store: LogStore, clock: Clock): Promise<Result<ServerClock>> {
    const stored = await store.getValue(KEY);
    if (!stored.ok) return stored;
    const last = isHlc(stored.value) ? stored.value : undefined;
    const hybrid = new HybridClock({ clock, ...(last !== undefined && { last }) });
    return ok(new ServerClock(store, hybrid, last === undefined ? 0 : unpackHlc(last).wallMs));
  }

  /** Physical time as this clock sees it, in ms: never below a stamp it gave. */
  wallMs(): number {
    const { last } = this.#hybrid;
    return Math.max(this.#hybrid.wallMs(), last === undefined ? 0 : unpackHlc(last).wallMs);
  }

  /** The next stamp. */
  async now(): Promise<Result<Hlc>> {
    const hlc = this.#hybrid.now();
    const { wallMs } = unpackHlc(hlc);
    while (wallMs >= this.#ceilingMs) {
      this.#raising ??= this.#raise(wallMs + STEP_MS).finally(() => {
        this.#raising = undefined;
      });
      const raised = await this.#raising;
      if (!raised.ok) return raised;
    }
    return ok(hlc);
  }

  async #raise(ceilingMs: number): Promise<Result<void>> {
    const stored = await this.#store.setValue(KEY, packHlc({ wallMs: ceilingMs, counter: 0 }));
    if (stored.ok) this.#ceilingMs = ceilingMs;
    return stored;
  }

  /** Stores the last stamp, so that the next start does not have to begin at the ceiling. */
  async close(): Promise<Result<void>> {
    const { last } = this.#hybrid;
    if (last === undefined) return ok(undefined);
    const { wallMs } = unpackHlc(last);
    return await this.#store.setValue(KEY, packHlc({ wallMs: wallMs + 1, counter: 0 }));
  }
}
