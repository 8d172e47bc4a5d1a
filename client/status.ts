import type { Delta, ErrorCode, LakeSyncError, LogSeq } from "@lakesync/core";

/** What a client is doing about sync. */
export type SyncState =
  /** It has no gateway, or automatic sync is off. */
  | "manual"
  /** Automatic sync is paused. */
  | "paused"
  /** It is in step, as far as it knows. */
  | "idle"
  /** A sync is under way. */
  | "syncing"
  /** The last sync failed; another try follows by itself. */
  | "waiting"
  /** The gateway takes nothing until somebody acts: the error says what to do. Tries go on. */
  | "blocked"
  /** It is closed. */
  | "closed";

/** A client's status. */
export interface ClientStatus {
  /** What it is doing. */
  readonly state: SyncState;
  /** Why the last sync failed, where it did. */
  readonly error: LakeSyncError | undefined;
  /** When the last sync succeeded, in ms since the Unix epoch by the device's clock. */
  readonly lastSyncedAt: number | undefined;
}

/** What a sync did. */
export interface SyncSummary {
  /** How many items were pulled. */
  readonly pulled: number;
  /** How many rows came by checkpoints. */
  readonly checkpointRows: number;
  /** How many deltas were accepted for the first time. */
  readonly pushed: number;
  /** How many deltas the gateway had already. */
  readonly duplicates: number;
  /** How many deltas were rejected for good and became dead letters. */
  readonly rejected: number;
  /** The log position that the client is now at. */
  readonly seq: LogSeq;
}

/** A delta that was rejected for good: taken off its row, and kept. */
export interface DeadLetter {
  /** The delta; its `deltaId` names the letter in `client.rejected`. */
  readonly delta: Delta;
  /** Why it was rejected. */
  readonly code: ErrorCode;
  /** Why, in words; for a `FORBIDDEN_WRITE` with the rule and the column. */
  readonly message: string;
  /** When, in ms since the Unix epoch by the device's clock. */
  readonly at: number;
}

/** What a client reports, by the event's name. */
export interface ClientEvents {
  /** A sync has succeeded. */
  readonly synced: SyncSummary;
  /** Deltas were rejected for good and have become dead letters. */
  readonly rejected: readonly DeadLetter[];
  /** A sync failed, or a live query without a handler of its own did. */
  readonly error: LakeSyncError;
  /** The status has changed. */
  readonly status: ClientStatus;
}
