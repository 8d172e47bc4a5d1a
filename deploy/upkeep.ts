import {
  type Clock,
  type Logger,
  type LogStore,
  type Random,
  type Scheduler,
  systemClock,
  systemRandom,
} from "@lakesync/core";
import type { MaintenanceStats } from "@lakesync/gateway";
import type { LakeChoice } from "./lake_choice.ts";
import { maintenanceLease } from "./maintaining.ts";
import { UpkeepThread } from "./upkeep_thread.ts";

/** Seconds from one run to the next. */
export const MAINTAIN_EVERY = 3_600;

/** How long a server that was killed keeps others out … */
const LEASE_MS = 120_000;
/** … since one that lives takes its lease for longer so often. */
const RENEW_MS = 30_000;
/** How long a stop waits for the step under way; then it is broken off. */
const GRACE_MS = 3_000;

/** A gateway whose lake is kept in shape. */
export interface KeptGateway {
  /** Its id. */
  readonly id: string;
  /** Where instances agree on who does it. */
  readonly store: Pick<LogStore, "acquireLease" | "releaseLease">;
}

/** Options of {@linkcode Upkeep}. */
export interface UpkeepOptions {
  /** The data directory. */
  readonly data: string;
  /** Where the lakes are, and how they are maintained. */
  readonly lake: LakeChoice;
  /** Waiting. */
  readonly scheduler: Scheduler;
  /** Where the steps are told. */
  readonly logger: Logger;
  /** Ends it. */
  readonly signal: AbortSignal;
  /**
   * Tells how long runs take.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Names the holder of leases.
   *
   * @default {systemRandom}
   */
  readonly random?: Random;
}

/**
 * Keeps the lakes of a server's gateways in shape while it serves: one after the other, every so often,
 * in a thread of its own that is there only while there is something to do.
 */
export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #stats: Map<string, MaintenanceStats> = new Map();

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  /** How a gateway's lake was kept; undefined where that is not this server's business. */
  stats(id: string): MaintenanceStats | undefined {
    return this.#everyMs === 0 ? undefined : this.#stats.get(id) ?? NEVER;
  }

  get #everyMs(): number {
    const { lake } = this.#options;
    return lake.format === "json" ? 0 : (lake.maintain?.every ?? MAINTAIN_EVERY) * 1000;
  }

  /**
   * Sees to all lakes, every so often.
   *
   * @param gateways Whose.
   * @returns Resolves when the signal has ended it.
   */
  async run(gateways: readonly KeptGateway[]): Promise<void> {
    const { scheduler, signal } = this.#options;
    if (this.#everyMs === 0) return;
    for (;;) {
      await scheduler.delay(this.#everyMs, { signal });
      if (signal.aborted) return;
      await this.once(gateways);
    }
  }

  /** Sees to all lakes once. */
  async once(gateways: readonly KeptGateway[]): Promise<void> {
    const { data, lake, logger, scheduler, signal } = this.#options;
    const thread = new UpkeepThread({ type: "lakes", data, choice: lake }, logger);
    const ended = new AbortController();
    signal.addEventListener("abort", () => {
      void scheduler.delay(GRACE_MS, { signal: ended.signal }).then(() => thread.end());
    }, { signal: ended.signal });
    try {
      for (const gateway of gateways) {
        if (signal.aborted) return;
        await this.#maintain(gateway, thread);
      }
    } finally {
      ended.abort();
      thread.end();
    }
  }

  async #maintain({ id, store }: KeptGateway, thread: UpkeepThread): Promise<void> {
    const { logger, signal, clock = systemClock, random = systemRandom } = this.#options;
    const lease = maintenanceLease(store, { random, ttlMs: LEASE_MS });
    const held = await lease.acquire();
    const before = this.#stats.get(id) ?? NEVER;
    if (!held.ok) {
      const { code, message } = held.error;
      logger.log("error", "maintain.failed", { gateway: id, code, message });
      this.#stats.set(id, { ...before, failures: before.failures + 1 });
      return;
    }
    if (!held.value) return logger.log("info", "maintain.busy", { gateway: id });
    const ended = new AbortController();
    const lost = new AbortController();
    const renewing = this.#renew(lease, { ended: ended.signal, lost });
    const beganAt = clock.now();
    this.#stats.set(id, { ...before, running: true });
    const well = await thread.maintain(id, AbortSignal.any([signal, lost.signal]));
    ended.abort();
    await renewing;
    // One that cannot be let go of runs out by itself.
    await lease.release();
    const endedAt = clock.now();
    this.#stats.set(id, {
      runs: before.runs + (well === undefined ? 0 : 1),
      failures: before.failures + (well === false ? 1 : 0),
      running: false,
      lastEndedAt: new Date(endedAt).toISOString(),
      lastMs: Math.max(0, endedAt - beganAt),
    });
    if (well !== undefined) {
      const facts = { gateway: id, well, ms: Math.max(0, endedAt - beganAt) };
      logger.log(well ? "info" : "error", "maintain.done", facts);
    }
  }

  async #renew(
    lease: ReturnType<typeof maintenanceLease>,
    { ended, lost }: { ended: AbortSignal; lost: AbortController },
  ): Promise<void> {
    for (;;) {
      await this.#options.scheduler.delay(RENEW_MS, { signal: ended });
      if (ended.aborted) return;
      const held = await lease.acquire();
      // A store that cannot be asked now is asked again before the lease has run out.
      if (held.ok && !held.value) lost.abort();
    }
  }
}

const NEVER: MaintenanceStats = {
  runs: 0,
  failures: 0,
  running: false,
  lastEndedAt: null,
  lastMs: null,
};
