import type { Clock, Logger, SqlDatabase, SyncTransport } from "@lakesync/core";
import type { Changed } from "./_live_hub.ts";
import type { LocalTable } from "./_local_table.ts";
import type { Refusal } from "./_outbox.ts";
import type { StatusBoard } from "./_status_board.ts";

/** What a sync works with. */
export interface SyncContext {
  readonly clientId: string;
  readonly schemaVersion: number;
  readonly database: SqlDatabase;
  readonly transport: SyncTransport;
  readonly tables: ReadonlyMap<string, LocalTable>;
  readonly clock: Clock;
  /** How long settled deltas are kept, in ms. */
  readonly retentionMs: number;
  readonly logger: Logger;
  /** What the client knows about its sync. */
  readonly board: StatusBoard;
  /** Told after each transaction what it changed. */
  readonly changed: (changed: Changed) => void;
  /** Told about deltas that have become dead letters. */
  readonly refused: (refusals: readonly Refusal[]) => void;
}
