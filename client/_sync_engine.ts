import {
  type Clock,
  err,
  type ErrorCode,
  LakeSyncError,
  ok,
  type Random,
  type Result,
  type Scheduler,
  toLakeSyncError,
} from "@lakesync/core";
import type { Emitter } from "./_emitter.ts";
import { pullLive } from "./_live_pull.ts";
import { onOnline } from "./_online.ts";
import { onWake } from "./_on_wake.ts";
import type { FlyingPush } from "./_outbox.ts";
import type { PushSize } from "./_push_limits.ts";
import { isBlocking, type StatusBoard, type StatusFacts } from "./_status_board.ts";
import { SyncQueue } from "./_sync_queue.ts";
import type { SyncContext } from "./_sync_context.ts";
import type { ClientEvents, SyncSummary } from "./status.ts";

const MIN_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;

/** Failures of a gateway that was not reached. */
const UNREACHED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["OFFLINE", "TIMEOUT"]);

/** Ends of live pulling after which a sync looks how things stand. */
const BROKEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "CHECKPOINT_REQUIRED",
  "OFFLINE",
  "TIMEOUT",
]);

/** What {@linkcode SyncEngine} works with. */
export interface SyncEngineOptions {
  /** What a sync works with; undefined for a client without a gateway. */
  readonly context: SyncContext | undefined;
  readonly auto: boolean;
  /**
   * Whether it begins paused.
   *
   * @default {false}
   */
  readonly paused?: boolean;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly events: Emitter<ClientEvents>;
  readonly board: StatusBoard;
}

/**
 * Decides when to sync.
 *
 * ```text
 *            write, interval, resume, online            success
 *   idle ────────────────────────────────────▶ syncing ─────────▶ idle
 *                                                │  failure
 *   waiting, blocked ◀───────────────────────────┘
 *        └── backoff over, resume, online ──▶ syncing
 * ```
 *
 * `paused` and `manual` take the place of idle, waiting and blocked while nothing starts by itself.
 *
 * Where the transport is live, a pull is held while it is idle: pages come by themselves, and a write
 * is pushed at once without pulling first. That ends with the first failure of either, and all begins
 * anew with a sync.
 */
export class SyncEngine {
  readonly #options: SyncEngineOptions;
  readonly #queue: SyncQueue | undefined;
  readonly #stopListening: () => void;
  #mode: "auto" | "manual" | "paused";
  #phase: "idle" | "syncing" | "waiting" | "blocked" = "idle";
  #closed = false;
  #failures = 0;
  // Ends the present wait of the automatic sync.
  #wake: AbortController = new AbortController();
  // Ends live pulling, while that is under way.
  #live: AbortController | undefined;
  #loop: Promise<void> = Promise.resolve();
  #nudged = false;
  readonly #closing: AbortController = new AbortController();

  constructor(options: SyncEngineOptions) {
    this.#options = options;
    const { context } = options;
    this.#queue = context && new SyncQueue(context, {
      began: () => {
        this.#nudged = false;
        this.#setPhase("syncing");
      },
      ended: (outcome) => this.#finish(outcome),
    });
    const automatic = options.paused === true ? "paused" : "auto";
    this.#mode = options.auto && context !== undefined ? automatic : "manual";
    this.#report();
    this.#stopListening = () => {};
    if (this.#mode === "manual") return;
    this.#stopListening = onOnline({
      online: () => this.#hurry(),
      offline: () => options.board.set({ online: false }),
    });
    void onWake({ ...options, signal: this.#closing.signal }, () => this.#woke());
    this.#loop = this.#run(context!);
  }

  /** Whether what is written now would be pushed at once, and nothing else is on its way. */
  get canPush(): boolean {
    return this.#live?.signal.aborted === false && this.#queue?.idle === true;
  }

  /** Whether so much, written now, could follow on what is on its way. */
  canFollow(size: PushSize): boolean {
    return this.#live?.signal.aborted === false && this.#queue?.takes(size) === true;
  }

  /** Something was written: an automatic sync that is idle begins. */
  nudge(flying?: FlyingPush): void {
    this.#nudged = true;
    if (this.#live?.signal.aborted === false) this.#queue?.push(flying);
    else if (this.#phase === "idle") this.#wake.abort();
  }

  /** Stops automatic syncs, also the one under way. */
  pause(): void {
    if (this.#mode !== "auto" || this.#closed) return;
    this.#mode = "paused";
    this.#queue?.abortRunning();
    this.#hangUp();
    this.#report();
  }

  /** Starts automatic syncs again, at once. */
  resume(): void {
    if (this.#mode !== "paused" || this.#closed) return;
    this.#mode = "auto";
    this.#hurry();
    this.#report();
  }

  /** Syncs, after the sync that is under way. */
  syncOnce(options: { signal?: AbortSignal } = {}): Promise<Result<SyncSummary>> {
    if (this.#closed) return Promise.resolve(err(closedError()));
    if (this.#queue === undefined) {
      return Promise.resolve(err(
        new LakeSyncError(
          "OFFLINE",
          "Cannot sync: this client has no gateway, give createClient a url or a transport",
        ),
      ));
    }
    const run = this.#queue.sync();
    const { signal } = options;
    const abort = () => run.controller.abort();
    if (signal?.aborted === true) abort();
    signal?.addEventListener("abort", abort, { once: true });
    return run.result.finally(() => signal?.removeEventListener("abort", abort));
  }

  /** Stops everything and waits until nothing is under way. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#closing.abort();
      this.#stopListening();
      this.#queue?.abort();
      this.#hangUp();
      this.#report();
    }
    await this.#queue?.settled();
    await this.#loop;
  }

  #hangUp(): void {
    this.#wake.abort();
    this.#live?.abort();
    this.#options.context?.transport.disconnect?.();
  }

  #finish(outcome: Result<SyncSummary>): void {
    const { events, clock } = this.#options;
    if (outcome.ok) {
      this.#failures = 0;
      // A page may have come by itself while a push is under way.
      this.#setPhase(this.#queue!.running ? "syncing" : "idle", {
        error: undefined,
        online: true,
        lastSyncedAt: clock.now(),
      });
      events.emit("synced", outcome.value);
      return;
    }
    this.#fail(outcome.error);
  }

  #fail(error: LakeSyncError): void {
    // Who stops a sync knows about it.
    if (error.code === "ABORTED") return this.#setPhase("idle");
    this.#failures++;
    this.#setPhase(isBlocking(error.code) ? "blocked" : "waiting", {
      error,
      online: !UNREACHED.has(error.code),
    });
    this.#options.events.emit("error", error);
    this.#live?.abort();
  }

  /** The device has slept: its connections are dead, whatever they say, and there may be news. */
  #woke(): void {
    if (this.#mode !== "auto") return;
    this.#options.context?.transport.disconnect?.();
    this.#live?.abort();
    this.#hurry();
  }

  /** Ends any wait, also that after a failure. */
  #hurry(): void {
    this.#failures = 0;
    this.#nudged = true;
    this.#wake.abort();
  }

  async #run(context: SyncContext): Promise<void> {
    const { scheduler, clock, intervalMs } = this.#options;
    let fruitless = 0;
    while (!this.#closed) {
      let waitMs = Infinity;
      if (this.#mode === "auto") {
        let outcome: Result<unknown> = await this.syncOnce();
        const live = outcome.ok && this.#mode === "auto" && context.transport.live === true;
        if (live && !this.#closed) {
          const startedAt = clock.now();
          const pulled = await this.#pullLive(context);
          outcome = pulled.outcome;
          const short = pulled.pages === 0 && clock.now() - startedAt < intervalMs;
          fruitless = short ? fruitless + 1 : 0;
        }
        if (this.#closed) return;
        if (outcome.ok) waitMs = this.#nudged || live ? 0 : intervalMs;
        else waitMs = this.#nudged && this.#failures === 0 ? 0 : this.#backoffMs(outcome.error);
        // A gateway that syncs but holds no pull is asked at the interval.
        if (fruitless > 1) waitMs = Math.max(waitMs, intervalMs);
        // Paused meanwhile, and perhaps resumed again.
        if (outcome.ok === false && outcome.error.code === "ABORTED") waitMs = 0;
        if (this.#mode !== "auto") continue;
      }
      if (waitMs === 0) continue;
      this.#wake = new AbortController();
      if (waitMs === Infinity) await aborted(this.#wake.signal);
      else await scheduler.delay(waitMs, { signal: this.#wake.signal });
    }
  }

  /** Pulls live until that fails or a sync has to look after things; how many pages came. */
  async #pullLive(context: SyncContext): Promise<{ outcome: Result<unknown>; pages: number }> {
    const { scheduler, intervalMs } = this.#options;
    const live = new AbortController();
    this.#live = live;
    let pages = 0;
    if (this.#nudged) this.#queue!.push();
    const outcome = await pullLive(context, {
      signal: live.signal,
      applied: (summary) => {
        pages++;
        this.#finish(ok(summary));
      },
      scheduler,
      intervalMs,
    }).catch((thrown) => err(toLakeSyncError(thrown, "INTERNAL")));
    this.#live = undefined;
    // A push that failed has ended it.
    if (live.signal.aborted) {
      const { error } = this.#options.board.status;
      return { outcome: this.#failures > 0 && error !== undefined ? err(error) : outcome, pages };
    }
    // A connection that broke is no failure yet: the sync that follows tells.
    if (outcome.ok || BROKEN.has(outcome.error.code)) return { outcome: ok(undefined), pages };
    this.#fail(outcome.error);
    return { outcome, pages };
  }

  #backoffMs(error: LakeSyncError): number {
    const doubled = MIN_BACKOFF_MS * 2 ** Math.min(this.#failures - 1, 10);
    // Half of it is jitter, so that devices which failed together do not come back together.
    const jitter = 0.5 + this.#options.random.bytes(1)[0]! / 512;
    const backoff = Math.min(doubled, MAX_BACKOFF_MS) * jitter;
    const asked = error.details?.retryAfterMs;
    return Math.ceil(typeof asked === "number" ? Math.max(asked, backoff) : backoff);
  }

  #setPhase(
    phase: "idle" | "syncing" | "waiting" | "blocked",
    facts: Partial<StatusFacts> = {},
  ): void {
    this.#phase = phase;
    this.#report(facts);
  }

  #report(facts: Partial<StatusFacts> = {}): void {
    const state = this.#closed
      ? "closed"
      : this.#phase === "syncing" || this.#mode === "auto"
      ? this.#phase
      : this.#mode;
    this.#options.board.set({ ...facts, state });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

/** What every call on a closed client answers. */
export function closedError(): LakeSyncError {
  return new LakeSyncError("CLOSED", "The client is closed: create another one");
}
