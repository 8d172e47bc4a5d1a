import { type Clock, LakeSyncError, systemClock } from "@lakesync/core";

/** Who wants to do something. */
export interface RateRequest {
  /** The gateway's id. */
  readonly gateway: string;
  /** The authenticated subject, or else the clientId. */
  readonly client: string;
}

/**
 * Decides how often callers may ask. One limiter stands behind HTTP requests, streams as they are
 * opened, and messages of WebSockets.
 *
 * Implementations must be bounded in memory and must not throw. One that counts for several
 * processes answers `undefined` where its storage fails: callers then go on.
 */
export interface RateLimiter {
  /**
   * Counts one request.
   *
   * @param request Whose it is.
   * @returns After how many ms it would be let through; undefined where it is let through now. What
   * is not let through does not count.
   */
  take(request: RateRequest): number | undefined | Promise<number | undefined>;
}

/** A token bucket: so many requests a second in the long run, and so many at once after a rest. */
export interface Rate {
  /** Requests a second; above 0. */
  readonly perSecond: number;
  /**
   * The most requests at once; at least 1.
   *
   * @default {perSecond, at least 1}
   */
  readonly burst?: number;
}

/** Options of {@linkcode memoryRateLimiter}. */
export interface MemoryRateLimiterOptions {
  /**
   * For each client of each gateway.
   *
   * @default {undefined} no limit
   */
  perClient?: Rate;
  /**
   * For each gateway, over all its clients.
   *
   * @default {undefined} no limit
   */
  perGateway?: Rate;
  /**
   * The most clients that are remembered; beyond it those are forgotten that have not asked for
   * longest.
   *
   * @default {100_000}
   */
  maxClients?: number;
  /**
   * Physical time.
   *
   * @default {systemClock}
   */
  clock?: Clock;
}

/**
 * A rate limiter for one process. It remembers a client only until its bucket is full again.
 *
 * @param options The rates.
 * @returns The limiter.
 *
 * @example Two at once, then one a second
 * ```ts
 * import { memoryRateLimiter } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const limiter = memoryRateLimiter({
 *   perClient: { perSecond: 1, burst: 2 },
 *   clock: { now: () => 0 },
 * });
 * const request = { gateway: "default", client: "alice" };
 * assertEquals([1, 2, 3].map(() => limiter.take(request)), [undefined, undefined, 1000]);
 * ```
 */
export function memoryRateLimiter(options: MemoryRateLimiterOptions): RateLimiter {
  const { perClient, perGateway, maxClients = 100_000, clock = systemClock } = options;
  const clients = perClient && new Buckets(perClient, maxClients);
  // As many as the process serves: only ids of gateways that there are come here.
  const gateways = perGateway && new Buckets(perGateway, Infinity);
  return {
    take({ gateway, client }) {
      const now = clock.now();
      // An id of a gateway has no space.
      const mine = clients?.open(`${gateway} ${client}`, now);
      const ours = gateways?.open(gateway, now);
      const wait = Math.max(mine?.wait() ?? 0, ours?.wait() ?? 0);
      if (wait > 0) return wait;
      mine?.take();
      ours?.take();
      return undefined;
    },
  };
}

/**
 * The error for a request that was not let through.
 *
 * @param retryAfterMs After how many ms it would be.
 * @returns `RATE_LIMITED` with `details.retryAfterMs`.
 */
export function rateLimited(retryAfterMs: number): LakeSyncError {
  return new LakeSyncError(
    "RATE_LIMITED",
    `Too many requests: try again in ${Math.ceil(retryAfterMs)} ms`,
    { details: { retryAfterMs: Math.ceil(retryAfterMs) } },
  );
}

/** What a bucket held when it was last looked at. */
interface Level {
  tokens: number;
  at: number;
}

/** The buckets that are not full, those first that were not used for longest. */
class Buckets {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #most: number;
  readonly #levels: Map<string, Level> = new Map();

  constructor({ perSecond, burst = Math.max(1, perSecond) }: Rate, most: number) {
    if (!(perSecond > 0 && Number.isFinite(perSecond) && burst >= 1 && Number.isFinite(burst))) {
      throw new TypeError(
        `Cannot limit to ${perSecond} requests a second, ${burst} at once: take more than 0, and at least 1`,
      );
    }
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#most = most;
  }

  open(key: string, now: number): { wait(): number; take(): void } {
    this.#forgetFull(now);
    const level = this.#levels.get(key) ?? { tokens: this.#burst, at: now };
    this.#refill(level, now);
    return {
      wait: () => level.tokens >= 1 ? 0 : (1 - level.tokens) / this.#perMs,
      take: () => {
        level.tokens--;
        this.#levels.delete(key);
        this.#levels.set(key, level);
        if (this.#levels.size <= this.#most) return;
        for (const oldest of this.#levels.keys()) return void this.#levels.delete(oldest);
      },
    };
  }

  /** Two at a time: more than a request adds, so that none stays for long. */
  #forgetFull(now: number): void {
    let looked = 0;
    for (const [key, level] of this.#levels) {
      this.#refill(level, now);
      if (level.tokens < this.#burst || ++looked > 2) return;
      this.#levels.delete(key);
    }
  }

  #refill(level: Level, now: number): void {
    // A clock that was set back fills nothing, and counts from there.
    const passed = Math.max(0, now - level.at);
    level.tokens = Math.min(this.#burst, level.tokens + passed * this.#perMs);
    level.at = now;
  }
}
