import {
  type Clock,
  err,
  type ErrorCode,
  LakeSyncError,
  type Random,
  type Result,
  type Scheduler,
  toLakeSyncError,
} from "@lakesync/core";
import type { Emitter } from "./_emitter.ts";
import { onOnline } from "./_online.ts";
import { type SyncContext, SyncRun } from "./_sync_run.ts";
import type { ClientEvents, ClientStatus, SyncState, SyncSummary } from "./status.ts";

const MIN_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;

/** Failures that last until somebody acts. */
const BLOCKING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "CONFLICT",
  "UNAUTHENTICATED",
  "FORBIDDEN",
  "NOT_FOUND",
  "METHOD_NOT_ALLOWED",
  "VALIDATION_ERROR",
  "CORRUPT",
]);

/** What {@linkcode SyncEngine} works with. */
export interface SyncEngineOptions {
  /** What a sync works with; undefined for a client without a gateway. */
  readonly context: SyncContext | undefined;
  readonly auto: boolean;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly events: Emitter<ClientEvents>;
}

/** A sync that was asked for. */
interface Request {
  readonly result: Promise<Result<SyncSummary>>;
  readonly controller: AbortController;
}

/**
 * Decides when to sync. One sync runs at a time; who asks while one runs shares the next, so that it
 * covers all that was written before it was asked for.
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
 */
export class SyncEngine {
  readonly #options: SyncEngineOptions;
  readonly #stopListening: () => void;
  #mode: "auto" | "manual" | "paused";
  #phase: "idle" | "syncing" | "waiting" | "blocked" = "idle";
  #error: LakeSyncError | undefined;
  #lastSyncedAt: number | undefined;
  #closed = false;
  #running: Request | undefined;
  #next: Request | undefined;
  #tail: Promise<void> = Promise.resolve();
  #failures = 0;
  // Ends the present wait of the automatic sync.
  #wake: AbortController = new AbortController();
  #nudged = false;
  #reported: SyncState;

  constructor(options: SyncEngineOptions) {
    this.#options = options;
    const auto = options.auto && options.context !== undefined;
    this.#mode = auto ? "auto" : "manual";
    this.#reported = this.status.state;
    this.#stopListening = auto ? onOnline(() => this.#hurry()) : () => {};
    if (auto) void this.#loop();
  }

  /** The status. */
  get status(): ClientStatus {
    const state = this.#closed
      ? "closed"
      : this.#phase === "syncing" || this.#mode === "auto"
      ? this.#phase
      : this.#mode;
    return { state, error: this.#error, lastSyncedAt: this.#lastSyncedAt };
  }

  /** Something was written: an automatic sync that is idle begins. */
  nudge(): void {
    this.#nudged = true;
    if (this.#phase === "idle") this.#wake.abort();
  }

  /** Stops automatic syncs, also the one under way. */
  pause(): void {
    if (this.#mode !== "auto" || this.#closed) return;
    this.#mode = "paused";
    this.#running?.controller.abort();
    this.#wake.abort();
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
    const { context } = this.#options;
    if (this.#closed) return Promise.resolve(err(closedError()));
    if (context === undefined) {
      return Promise.resolve(err(
        new LakeSyncError(
          "OFFLINE",
          "Cannot sync: this client has no gateway, give createClient a url or a transport",
        ),
      ));
    }
    const request = this.#next ??= this.#enqueue(context);
    const { signal } = options;
    const abort = () => request.controller.abort();
    if (signal?.aborted === true) abort();
    signal?.addEventListener("abort", abort, { once: true });
    return request.result.finally(() => signal?.removeEventListener("abort", abort));
  }

  /** Stops everything and waits until nothing is under way. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#stopListening();
      this.#next?.controller.abort();
      this.#running?.controller.abort();
      this.#wake.abort();
      this.#report();
    }
    await this.#tail;
  }

  #enqueue(context: SyncContext): Request {
    const controller = new AbortController();
    const result = this.#tail.then(async () => {
      this.#running = request;
      this.#next = undefined;
      this.#nudged = false;
      this.#setPhase("syncing");
      const outcome = await new SyncRun(context, controller.signal).run()
        // A transport that throws breaks its contract; the client goes on all the same.
        .catch((thrown) => err(toLakeSyncError(thrown, "INTERNAL")));
      this.#running = undefined;
      this.#finish(outcome);
      return outcome;
    });
    const request: Request = { result, controller };
    this.#tail = result.then(() => {}, () => {});
    return request;
  }

  #finish(outcome: Result<SyncSummary>): void {
    const { events, clock } = this.#options;
    if (outcome.ok) {
      this.#failures = 0;
      this.#error = undefined;
      this.#lastSyncedAt = clock.now();
      this.#setPhase("idle");
      events.emit("synced", outcome.value);
      return;
    }
    const { error } = outcome;
    // Who stops a sync knows about it.
    if (error.code === "ABORTED") return this.#setPhase("idle");
    this.#failures++;
    this.#error = error;
    this.#setPhase(BLOCKING.has(error.code) ? "blocked" : "waiting");
    events.emit("error", error);
  }

  /** Ends any wait, also that after a failure. */
  #hurry(): void {
    this.#failures = 0;
    this.#nudged = true;
    this.#wake.abort();
  }

  async #loop(): Promise<void> {
    const { scheduler, intervalMs } = this.#options;
    while (!this.#closed) {
      let waitMs = Infinity;
      if (this.#mode === "auto") {
        const outcome = await this.syncOnce();
        if (this.#closed) return;
        if (outcome.ok) waitMs = this.#nudged ? 0 : intervalMs;
        else waitMs = this.#nudged && this.#failures === 0 ? 0 : this.#backoffMs(outcome.error);
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

  #backoffMs(error: LakeSyncError): number {
    const doubled = MIN_BACKOFF_MS * 2 ** Math.min(this.#failures - 1, 10);
    // Half of it is jitter, so that devices which failed together do not come back together.
    const jitter = 0.5 + this.#options.random.bytes(1)[0]! / 512;
    const backoff = Math.min(doubled, MAX_BACKOFF_MS) * jitter;
    const asked = error.details?.retryAfterMs;
    return Math.ceil(typeof asked === "number" ? Math.max(asked, backoff) : backoff);
  }

  #setPhase(phase: "idle" | "syncing" | "waiting" | "blocked"): void {
    this.#phase = phase;
    this.#report();
  }

  #report(): void {
    const { status } = this;
    if (status.state === this.#reported) return;
    this.#reported = status.state;
    this.#options.events.emit("status", status);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

/** What every call on a closed client answers. */
export function closedError(): LakeSyncError {
  return new LakeSyncError("CLOSED", "The client is closed: create another one");
}
