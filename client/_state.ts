import {
  compareHlc,
  type Hlc,
  type LogSeq,
  type SqlTransaction,
  type TableSchema,
} from "@lakesync/core";
import { seqFromSql, seqToSql } from "./_log_seq.ts";

/** Whether a checkpoint must be taken before anything else. */
export type CheckpointDue =
  /** No. */
  | 0
  /** Yes: the cursor cannot be served. */
  | 1
  /** Yes, and the gateway was reset or restored: accepted deltas go back into the outbox. */
  | 2;

/**
 * What the database knows about itself: one row, read at the start and written at the end of each
 * transaction that changes it. Memory holds no other copy, so that a rollback, a restart or a second
 * process never leaves a stale one behind.
 */
export interface ClientState {
  /** Names this database; never changes. */
  readonly clientId: string;
  /** The schemas that it was last opened with. */
  readonly schemas: readonly TableSchema[];
  /** Where the next pull goes on; `""` before the first checkpoint. */
  cursor: string;
  /** The log position of the base. */
  seq: LogSeq;
  /** The high-water mark of stamps. */
  hlc: Hlc | undefined;
  /** The greatest stamp accepted or received. */
  seen: Hlc | undefined;
  /** The gateway's clock minus this device's, in ms. */
  offsetMs: number;
  /** Whether a checkpoint is due. */
  due: CheckpointDue;
}

/** The tables that every client's database has. */
export const STATE_SQL: readonly string[] = [
  `CREATE TABLE lakesync_state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    format INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    schemas TEXT NOT NULL,
    cursor TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hlc TEXT,
    seen TEXT,
    offset_ms INTEGER NOT NULL,
    due INTEGER NOT NULL
  )`,
];

/** Reads the state. */
export async function readState(tx: SqlTransaction): Promise<ClientState> {
  const row = (await tx.all(
    "SELECT client_id, schemas, cursor, seq, hlc, seen, offset_ms, due FROM lakesync_state",
  ))[0]!;
  return {
    clientId: JSON.parse(row.client_id as string) as string,
    schemas: JSON.parse(row.schemas as string) as TableSchema[],
    cursor: row.cursor as string,
    seq: seqFromSql(row.seq!),
    hlc: row.hlc as string | null ?? undefined,
    seen: row.seen as string | null ?? undefined,
    offsetMs: row.offset_ms as number,
    due: row.due as CheckpointDue,
  };
}

/** Writes what can change of the state. */
export async function writeState(tx: SqlTransaction, state: ClientState): Promise<void> {
  await tx.run(
    "UPDATE lakesync_state SET cursor = ?, seq = ?, hlc = ?, seen = ?, offset_ms = ?, due = ?",
    [
      state.cursor,
      seqToSql(state.seq),
      state.hlc ?? null,
      state.seen ?? null,
      state.offsetMs,
      state.due,
    ],
  );
}

/** The greater of two stamps. */
export function maxHlc(a: Hlc | undefined, b: Hlc | undefined): Hlc | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return compareHlc(a, b) >= 0 ? a : b;
}

/** Takes note of a stamp that was accepted or received: the next ones are above it. */
export function observe(state: ClientState, hlc: Hlc | undefined): void {
  state.hlc = maxHlc(state.hlc, hlc);
  state.seen = maxHlc(state.seen, hlc);
}
