import {
  emptyRow,
  type FlushEntry,
  mergeDelta,
  type RowState,
  type SqlParameter,
  type SqlServer,
  type SqlWork,
} from "@lakesync/core";
import { lookUp } from "./_look_up.ts";
import { writeRows } from "./_sql.ts";
import { stateText } from "./_state_text.ts";
import { rowKey, ROWS } from "./_tables.ts";

/** Merges entries, which are new, into the states of their rows. */
export async function foldEntries(
  work: SqlWork,
  options: { server: SqlServer; entries: readonly FlushEntry[] },
): Promise<void> {
  const { server, entries } = options;
  const tables = new Map<string, Map<string, RowState>>();
  for (const { delta: { table, rowId } } of entries) {
    let rows = tables.get(table);
    if (rows === undefined) tables.set(table, rows = new Map());
    if (!rows.has(rowId)) rows.set(rowId, emptyRow());
  }
  const known = new Map<string, ReadonlySet<string>>();
  for (const [table, rows] of tables) {
    known.set(table, await loadStates(work, { server, table, rows }));
  }
  for (const { delta } of entries) {
    mergeDelta(tables.get(delta.table)!.get(delta.rowId)!, delta);
  }
  const key = server.dialect.column("key");
  for (const [table, states] of tables) {
    const added: SqlParameter[][] = [];
    const changed: SqlParameter[][] = [];
    for (const [rowId, state] of states) {
      const rows = known.get(table)!.has(rowId) ? changed : added;
      rows.push([key.encode(rowKey(table, rowId))!, stateText({ rowId, state })]);
    }
    const { dialect } = server;
    const to = { table: ROWS.name, columns: ROWS.columns };
    await writeRows(work, { dialect, write: { ...to, rows: added } });
    await writeRows(work, { dialect, write: { ...to, key: ROWS.key, rows: changed } });
  }
}

/** Puts the states that there are in the place of empty ones, and tells of which rows there are. */
async function loadStates(
  work: SqlWork,
  options: { server: SqlServer; table: string; rows: Map<string, RowState> },
): Promise<ReadonlySet<string>> {
  const { server, table, rows } = options;
  const known = new Set<string>();
  const key = server.dialect.column("key");
  const keys = Array.from(rows.keys(), (rowId) => key.encode(rowKey(table, rowId))!);
  for (const { rowId, state } of await lookUp(work, { server, table, keys })) {
    rows.set(rowId, state);
    known.add(rowId);
  }
  return known;
}
