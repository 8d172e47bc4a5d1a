import type { LakeSyncError, Result, SqlTransaction } from "@lakesync/core";
import type { Emitter } from "./_emitter.ts";
import type { Changed } from "./_live_hub.ts";
import type { FlyingPush, Refusal } from "./_outbox.ts";
import type { PushSize } from "./_push_limits.ts";
import type { StatusBoard } from "./_status_board.ts";
import type { WriteOp, WriteTarget } from "./_write_op.ts";
import type { ClientEvents, SyncSummary } from "./status.ts";

/** What a local write did. */
export interface Wrote {
  /** How many deltas it made. */
  readonly deltas: number;
  /** The rows that changed. */
  readonly changed: Changed;
}

/** What syncs for a client: a `SyncEngine` of its own, or the one of the tab that leads. */
export interface Engine {
  /** Whether what is written now would be pushed at once, and nothing else is on its way. */
  readonly canPush: boolean;
  /** Whether so much, written now, could follow on what is on its way. */
  canFollow?(size: PushSize): boolean;
  /**
   * Makes a change where the engine is, which then tells all others of it. Undefined where the client
   * makes its changes by itself.
   */
  write?(op: WriteOp): Promise<Result<{ value: unknown; changed: Changed }>>;
  /** Makes changes as one transaction there. */
  changes?<T>(
    body: (target: WriteTarget, tx: SqlTransaction) => Promise<T>,
  ): Promise<Result<{ value: T; changed: Changed }>>;
  /** Something was written. */
  nudge(flying: FlyingPush | undefined, wrote: Wrote): void;
  /** Stops automatic syncs. */
  pause(): void;
  /** Starts automatic syncs again, at once. */
  resume(): void;
  /** Syncs. */
  syncOnce(options?: { signal?: AbortSignal }): Promise<Result<SyncSummary>>;
  /** Stops everything and waits until nothing is under way. */
  close(): Promise<void>;
}

/** Whom an engine that is not the client's own tells. */
export interface EngineHooks {
  /** The client's events. */
  readonly events: Emitter<ClientEvents>;
  /** What the client knows about its sync. */
  readonly board: StatusBoard;
  /** Told after each transaction that changed rows, of whatever tab. */
  readonly changed: (changed: Changed) => void;
  /** Told about deltas that have become dead letters. */
  readonly refused: (refusals: readonly Refusal[]) => void;
  /** Told that the client has ended by itself: its data was wiped, or cannot be used any more. */
  readonly ended: (error: LakeSyncError) => void;
}
