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

/** What stands in the way of a client whose sync lasts until somebody acts. */
export type BlockedReason =
  /** The gateway does not know this app's tables yet, or another process syncs the same database. */
  | "schema"
  /** The token is missing, refused or expired, and `getToken` gives no better one. */
  | "token"
  /** The token's owner may not use this gateway. */
  | "access"
  /** What answers is not such a gateway, or another version of it. */
  | "gateway"
  /** The device's database is damaged. */
  | "database";

/** How far a device's first sync is. */
export interface FirstSync {
  /** Rows that are on the device. */
  readonly rows: number;
  /** Bytes that came, unpacked; 0 where the transport does not count them. */
  readonly bytes: number;
  /** How much of it that is, 0 to 100; undefined where the gateway does not say how much there is. */
  readonly percent: number | undefined;
}

/** A client's status. */
export interface ClientStatus {
  /** What it is doing. */
  readonly state: SyncState;
  /**
   * Whether the gateway was reached the last time; undefined before the first try. False as soon as
   * the runtime says that there is no network.
   */
  readonly online: boolean | undefined;
  /**
   * How many entries of the gateway's log are still to come, as far as the gateway told: 0 after a
   * pull has brought the last. Undefined where that is not known.
   */
  readonly behind: number | undefined;
  /** How many deltas of this device the gateway has not acknowledged. */
  readonly outbox: number;
  /** What stands in the way, where the sync waits for somebody to act: `error` says how. */
  readonly blocked: BlockedReason | undefined;
  /** Why the last sync failed, with the next step, where it did. */
  readonly error: LakeSyncError | undefined;
  /** When the last sync succeeded, in ms since the Unix epoch by the device's clock. */
  readonly lastSyncedAt: number | undefined;
  /** How far the first sync is, while it is under way. */
  readonly firstSync: FirstSync | undefined;
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
