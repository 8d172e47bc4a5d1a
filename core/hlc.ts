import { LakeSyncError } from "./errors.ts";
import { err, ok, type Result } from "./result.ts";
import type { Clock } from "./ports.ts";

/**
 * A hybrid logical clock stamp: unsigned 64 bits, `wallMs(48) << 16 | counter(16)`, as the decimal
 * string that the wire uses, without leading zeros, at least `"1"`. Compare with
 * {@linkcode compareHlc}, never with `<`.
 *
 * @see {@link https://cse.buffalo.edu/tech-reports/2014-04.pdf | Kulkarni et al., Logical Physical Clocks, 2014}
 */
export type Hlc = string;

const COUNTER_BITS = 16n;
const MAX_COUNTER = 0xffff;
const MAX_WALL_MS = 2 ** 48 - 1;
const MAX_HLC = "18446744073709551615";

/** The two parts of a stamp. */
export interface HlcParts {
  /** Milliseconds since the Unix epoch, 0 to 2^48 − 1. */
  wallMs: number;
  /** Tells stamps of one millisecond apart, 0 to 65,535. */
  counter: number;
}

/**
 * Packs a stamp.
 *
 * @param parts Wall time and counter, both whole numbers in range and not both 0.
 * @returns The stamp.
 * @throws {TypeError} Where a part is out of range.
 *
 * @example Pack
 * ```ts
 * import { packHlc } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(packHlc({ wallMs: 1, counter: 2 }), "65538");
 * ```
 */
export function packHlc(parts: HlcParts): Hlc {
  const { wallMs, counter } = parts;
  const valid = Number.isInteger(wallMs) && wallMs >= 0 && wallMs <= MAX_WALL_MS &&
    Number.isInteger(counter) && counter >= 0 && counter <= MAX_COUNTER;
  if (!valid || (wallMs === 0 && counter === 0)) {
    throw new TypeError(
      `Cannot pack a stamp: wallMs ${wallMs} and counter ${counter} are out of range`,
    );
  }
  return ((BigInt(wallMs) << COUNTER_BITS) | BigInt(counter)).toString();
}

/**
 * Unpacks a stamp.
 *
 * @param hlc A well-formed stamp.
 * @returns Its parts.
 *
 * @example Unpack
 * ```ts
 * import { unpackHlc } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(unpackHlc("65538"), { wallMs: 1, counter: 2 });
 * ```
 */
export function unpackHlc(hlc: Hlc): HlcParts {
  const bits = BigInt(hlc);
  return { wallMs: Number(bits >> COUNTER_BITS), counter: Number(bits & 0xffffn) };
}

/**
 * Tells whether a value is a stamp in its one form: a decimal string without leading zeros, 1 to
 * 2^64 − 1.
 *
 * @param value Anything.
 * @returns Whether it is an {@linkcode Hlc}.
 *
 * @example One form only
 * ```ts
 * import { isHlc } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(isHlc("65538"));
 * assert(!isHlc("065538"));
 * assert(!isHlc(65538));
 * ```
 */
export function isHlc(value: unknown): value is Hlc {
  return typeof value === "string" && /^[1-9][0-9]{0,19}$/.test(value) &&
    compareHlc(value, MAX_HLC) <= 0;
}

/**
 * Compares two stamps.
 *
 * @param a One stamp.
 * @param b The other.
 * @returns Below 0 where `a` is older, above 0 where it is newer, 0 where they are equal.
 *
 * @example Longer is newer
 * ```ts
 * import { compareHlc } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(compareHlc("9", "10") < 0);
 * ```
 */
export function compareHlc(a: Hlc, b: Hlc): number {
  // Without leading zeros the longer number is the greater; equal lengths compare as text.
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Options of {@linkcode HybridClock}. */
export interface HybridClockOptions {
  /** Where physical time comes from. */
  clock: Clock;
  /**
   * The stored high-water mark: every stamp will be above it, also after a restart.
   *
   * @default {undefined}
   */
  last?: Hlc;
}

/** Options of {@linkcode HybridClock.receive}. */
export interface ReceiveOptions {
  /** How far ahead of this clock a stamp may be, in milliseconds. */
  maxDriftMs: number;
}

/**
 * A hybrid logical clock: stamps that never repeat or go back, near physical time, and above every
 * stamp seen.
 *
 * @see {@link https://cse.buffalo.edu/tech-reports/2014-04.pdf | Kulkarni et al., Logical Physical Clocks, 2014}
 *
 * @example Stamps rise even when the wall clock stands still
 * ```ts
 * import { compareHlc, HybridClock } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * const clock = new HybridClock({ clock: { now: () => 1_000 } });
 * assert(compareHlc(clock.now(), clock.now()) < 0);
 * ```
 */
export class HybridClock {
  /**
   * Milliseconds added to physical time: what a client learnt from its gateway.
   *
   * @default {0}
   */
  offsetMs = 0;
  readonly #clock: Clock;
  #wallMs = 0;
  #counter = 0;

  /**
   * Makes a clock that goes on from where it stood.
   *
   * @param options Where time comes from and where it stood.
   */
  constructor(options: HybridClockOptions) {
    this.#clock = options.clock;
    if (options.last !== undefined) this.reset(options.last);
  }

  /** The greatest stamp made or seen, or undefined where there is none yet. What a restart needs. */
  get last(): Hlc | undefined {
    if (this.#wallMs === 0 && this.#counter === 0) return undefined;
    return packHlc({ wallMs: this.#wallMs, counter: this.#counter });
  }

  /** Physical time with the offset, in whole milliseconds. */
  wallMs(): number {
    return Math.min(Math.max(0, Math.floor(this.#clock.now() + this.offsetMs)), MAX_WALL_MS);
  }

  /**
   * The next stamp.
   *
   * @returns A stamp above every one that was made or seen.
   * @throws {TypeError} Where the last of all stamps was made or seen.
   */
  now(): Hlc {
    const wallMs = this.wallMs();
    if (wallMs > this.#wallMs) {
      this.#wallMs = wallMs;
      this.#counter = 0;
    } else if (this.#counter < MAX_COUNTER) {
      this.#counter++;
    } else if (this.#wallMs < MAX_WALL_MS) {
      // An overflowing counter carries into the wall part (PROTOCOL, section 1).
      this.#wallMs++;
      this.#counter = 0;
    } else {
      throw new TypeError(
        "Cannot make a stamp: the last one there is, of the year 10889, is taken",
      );
    }
    return packHlc({ wallMs: this.#wallMs, counter: this.#counter });
  }

  /**
   * Takes note of a stamp that was delivered, however far ahead it is.
   *
   * @param hlc The stamp.
   */
  observe(hlc: Hlc): void {
    const { wallMs, counter } = unpackHlc(hlc);
    if (wallMs > this.#wallMs || (wallMs === this.#wallMs && counter > this.#counter)) {
      this.#wallMs = wallMs;
      this.#counter = counter;
    }
  }

  /**
   * Takes note of a stamp unless it is too far ahead.
   *
   * @param hlc The stamp.
   * @param options The drift limit.
   * @returns Nothing, or `CLOCK_DRIFT`; then this clock is as it was.
   */
  receive(hlc: Hlc, options: ReceiveOptions): Result<void> {
    const aheadMs = unpackHlc(hlc).wallMs - this.wallMs();
    if (aheadMs > options.maxDriftMs) {
      return err(
        new LakeSyncError(
          "CLOCK_DRIFT",
          `Stamp ${hlc} is ${aheadMs} ms ahead: at most ${options.maxDriftMs} ms are allowed, correct the clock that made it`,
          { details: { aheadMs, maxDriftMs: options.maxDriftMs } },
        ),
      );
    }
    this.observe(hlc);
    return ok(undefined);
  }

  /**
   * Sets the high-water mark, also backwards: for a client whose unsent deltas are stamped anew
   * (PROTOCOL, section 4, *Clocks*).
   *
   * @param last The greatest stamp that stays in use, or undefined for none.
   */
  reset(last: Hlc | undefined): void {
    const parts = last === undefined ? { wallMs: 0, counter: 0 } : unpackHlc(last);
    this.#wallMs = parts.wallMs;
    this.#counter = parts.counter;
  }
}
