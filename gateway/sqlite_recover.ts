import { cloneRow, type Delta, emptyRow, LakeSyncError, mergeDelta } from "@lakesync/core";
import { extendHash } from "./log_hash.ts";
import { RowMap } from "./row_map.ts";
import type { LogRow } from "./sqlite_entry.ts";
import type { DirtyRow, SqliteRows } from "./sqlite_rows.ts";
import type { SqliteState } from "./sqlite_state.ts";
import type { Statements } from "./sqlite_statements.ts";

/** So many replayed rows are handed on together. */
const REPLAY_ROWS = 500;

/** What is recovered. */
export interface RecoverContext {
  /** The log's file, for messages. */
  readonly path: string;
  /** The state without the entries; changed. */
  readonly state: SqliteState;
  /** The rows; changed. */
  readonly rows: SqliteRows;
  /** The statements. */
  readonly statements: Statements;
}

/**
 * Finds the head and replays the rows that were not folded; checks the hashes on the way.
 *
 * @param context What is recovered.
 * @param folded The rows have everything up to this seq.
 * @throws {LakeSyncError} `CORRUPT` where the entries do not follow from one another.
 */
export function recover(context: RecoverContext, folded: number): void {
  const { state, rows, statements, path } = context;
  if (folded > state.trimmed.seq) {
    const entry = statements.entry.get(folded) as { hash: number; at: number } | undefined;
    if (entry === undefined) throw damaged(path, `entry ${folded} is missing`);
    state.seq = folded;
    state.hash = entry.hash;
    state.at = entry.at;
  }
  let dirty = new RowMap<number, DirtyRow>();
  for (const item of statements.read.iterate(state.seq, Number.MAX_SAFE_INTEGER, -1)) {
    const row = item as unknown as LogRow;
    const delta = JSON.parse(row.json) as Delta;
    const hash = extendHash(state.hash, delta.deltaId);
    if (row.seq !== state.seq + 1 || row.hash !== hash) {
      throw damaged(path, `entry ${row.seq} does not follow from the one before it`);
    }
    state.seq = row.seq;
    state.hash = hash;
    state.at = row.at;
    const { rowId } = delta;
    const tbl = state.tables.get(row.name)!;
    const held = dirty.get(tbl, rowId)?.state ?? rows.get(tbl, rowId);
    const merged = held === undefined ? emptyRow() : cloneRow(held);
    mergeDelta(merged, delta);
    dirty.set(tbl, rowId, { tbl, rowId, state: merged, seq: row.seq });
    if (dirty.size >= REPLAY_ROWS) {
      rows.put(dirty.values(), state.seq);
      dirty = new RowMap();
    }
  }
  rows.put(dirty.values(), state.seq);
}

function damaged(path: string, reason: string): LakeSyncError {
  return new LakeSyncError(
    "CORRUPT",
    `Cannot open "${path}" as a log: it is damaged (${reason}). It was left as it is; restore a backup or choose another data directory`,
  );
}
