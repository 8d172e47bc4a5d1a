import { err, type Result, toLakeSyncError } from "@lakesync/core";
import type { FlyingPush } from "./_outbox.ts";
import type { PushSize } from "./_push_limits.ts";
import type { SyncContext } from "./_sync_context.ts";
import { SyncRun } from "./_sync_run.ts";
import type { SyncSummary } from "./status.ts";

/** A run that was asked for. */
export interface QueuedRun {
  readonly result: Promise<Result<SyncSummary>>;
  readonly controller: AbortController;
}

/** Told about runs. */
export interface SyncQueueListener {
  began(): void;
  ended(outcome: Result<SyncSummary>): void;
}

/**
 * Syncs one after the other: so one push is under way at a time (PROTOCOL, section 4). Who asks while
 * one runs shares the next of its kind, which covers all that was written before it was asked for.
 */
export class SyncQueue {
  readonly #context: SyncContext;
  readonly #listener: SyncQueueListener;
  #running: QueuedRun | undefined;
  #run: SyncRun | undefined;
  #nextSync: QueuedRun | undefined;
  #nextPush: QueuedRun | undefined;
  #tail: Promise<void> = Promise.resolve();

  constructor(context: SyncContext, listener: SyncQueueListener) {
    this.#context = context;
    this.#listener = listener;
  }

  /** Whether one is under way. */
  get running(): boolean {
    return this.#running !== undefined;
  }

  /** Whether nothing is under way or asked for. */
  get idle(): boolean {
    return (this.#running ?? this.#nextSync ?? this.#nextPush) === undefined;
  }

  /** Whether so much may be written as flying, to follow the push that is under way. */
  takes(size: PushSize): boolean {
    return (this.#nextSync ?? this.#nextPush) === undefined && this.#run?.takes(size) === true;
  }

  /** Pulls and pushes. */
  sync(): QueuedRun {
    return this.#nextSync ??= this.#enqueue((run) => {
      this.#nextSync = undefined;
      return run.sync();
    });
  }

  /**
   * Pushes. `flying` are deltas that were written as flying already; they are as good as any others
   * in the outbox where a run comes in between.
   */
  push(flying?: FlyingPush): QueuedRun {
    // A sync that is still to come pushes too.
    if (this.#nextSync !== undefined) return this.#nextSync;
    if (flying !== undefined && this.#nextPush === undefined && this.#run?.add(flying) === true) {
      return this.#running!;
    }
    const direct = this.idle ? flying : undefined;
    return this.#nextPush ??= this.#enqueue((run) => {
      this.#nextPush = undefined;
      return run.push(direct);
    });
  }

  /** Stops the run that is under way, and the push after it. A sync that was asked for goes ahead. */
  abortRunning(): void {
    this.#running?.controller.abort();
    this.#nextPush?.controller.abort();
  }

  /** Stops all runs. */
  abort(): void {
    this.#nextSync?.controller.abort();
    this.abortRunning();
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#tail;
  }

  #enqueue(work: (run: SyncRun) => Promise<Result<SyncSummary>>): QueuedRun {
    const controller = new AbortController();
    const result = this.#tail.then(async () => {
      this.#running = queued;
      this.#listener.began();
      const run = new SyncRun(this.#context, controller.signal);
      this.#run = run;
      const outcome = await work(run)
        // A transport that throws breaks its contract; the client goes on all the same.
        .catch((thrown) => err(toLakeSyncError(thrown, "INTERNAL")));
      this.#run = undefined;
      this.#running = undefined;
      this.#listener.ended(outcome);
      return outcome;
    });
    const queued: QueuedRun = { result, controller };
    this.#tail = result.then(() => {}, () => {});
    return queued;
  }
}
