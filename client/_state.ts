import {
  type ColumnSchema,
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
 * What the gateway's tables have more than the app's: columns that a later version of the app declares.
 * The base keeps all that comes, so a column may be learned, or declared, at any time after.
 */
export interface Learned {
  /** The tag of the gateway's tables; `""` where they are to be told anew. */
  readonly tag: string;
  /** The columns that the app's tables have got of them, by table. */
  readonly columns: readonly (readonly [table: string, columns: readonly ColumnSchema[]])[];
}

/** A database that has learned nothing. */
export const UNLEARNED: Learned = { tag: "", columns: [] };

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
  /** The place of the newest own delta, in the order of making; 0 where there is none. */
  readonly lastOrd: number;
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
  /** What the gateway's tables have more than the declared ones. */
  learned: Learned;
  /**
   * The schema version that the cursor was got with; undefined before the first checkpoint. Pulls go on
   * stating it: with another one the gateway would not serve the cursor.
   */
  stated: number | undefined;
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

/** What the state of a database of an earlier version lacks. */
export const MORE_STATE_SQL: readonly string[] = [
  `ALTER TABLE lakesync_state ADD COLUMN learned TEXT NOT NULL DEFAULT '${
    JSON.stringify(UNLEARNED)
  }'`,
  "ALTER TABLE lakesync_state ADD COLUMN stated INTEGER",
];

/** Reads the state. */
export async function readState(tx: SqlTransaction): Promise<ClientState> {
  const row = (await tx.all(
    "SELECT client_id, schemas, cursor, seq, hlc, seen, offset_ms, due, learned, stated, " +
      "(SELECT max(ord) FROM lakesync_own_json) AS last_ord FROM lakesync_state",
  ))[0]!;
  return {
    clientId: JSON.parse(row.client_id as string) as string,
    schemas: parseSchemas(row.schemas as string),
    lastOrd: row.last_ord as number | null ?? 0,
    cursor: row.cursor as string,
    seq: seqFromSql(row.seq!),
    hlc: row.hlc as string | null ?? undefined,
    seen: row.seen as string | null ?? undefined,
    offsetMs: row.offset_ms as number,
    due: row.due as CheckpointDue,
    learned: JSON.parse(row.learned as string) as Learned,
    stated: row.stated as number | null ?? undefined,
  };
}

/** What was parsed last: the text is the same in all transactions but the first of a new app version. */
let parsed: { readonly text: string; readonly schemas: readonly TableSchema[] } | undefined;

function parseSchemas(text: string): readonly TableSchema[] {
  if (parsed?.text !== text) parsed = { text, schemas: JSON.parse(text) as TableSchema[] };
  return parsed.schemas;
}

/** Writes the high-water mark of stamps: all of the state that a local write changes. */
export async function writeHlc(tx: SqlTransaction, { hlc }: ClientState): Promise<void> {
  await tx.run("UPDATE lakesync_state SET hlc = ?", [hlc ?? null]);
}

/** Writes what can change of the state. */
export async function writeState(tx: SqlTransaction, state: ClientState): Promise<void> {
  await tx.run(
    "UPDATE lakesync_state SET cursor = ?, seq = ?, hlc = ?, seen = ?, offset_ms = ?, due = ?, " +
      "learned = ?, stated = ?",
    [
      state.cursor,
      seqToSql(state.seq),
      state.hlc ?? null,
      state.seen ?? null,
      state.offsetMs,
      state.due,
      JSON.stringify(state.learned),
      state.stated ?? null,
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
