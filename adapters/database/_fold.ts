import {
  emptyRow,
  type FlushEntry,
  mergeDelta,
  type RowState,
  type SqlParameter,
  type SqlServer,
  type SqlWork,
  type SqlWrite,
} from "@lakesync/core";
import type { MergedStates } from "./_lately.ts";
import { lookUp } from "./_look_up.ts";
import { firstNumber, writeRows } from "./_sql.ts";
import { stateText } from "./_state_text.ts";
import { rowKey, ROWS } from "./_tables.ts";

/** Entries of a table by row, in their order. */
type Rows = ReadonlyMap<string, readonly FlushEntry[]>;

interface TableContext {
  readonly server: SqlServer;
  readonly table: string;
  readonly rows: Rows;
}

/** Merges entries, which are new, into the states of their rows, and notes what these have become. */
export async function foldEntries(
  work: SqlWork,
  options: { server: SqlServer; entries: readonly FlushEntry[]; merged: MergedStates },
): Promise<void> {
  const { server, entries, merged } = options;
  const tables = new Map<string, Map<string, FlushEntry[]>>();
  for (const entry of entries) {
    const { table, rowId } = entry.delta;
    let rows = tables.get(table);
    if (rows === undefined) tables.set(table, rows = new Map());
    const held = rows.get(rowId);
    if (held === undefined) rows.set(rowId, [entry]);
    else held.push(entry);
  }
  for (const [table, rows] of tables) {
    for (const [rowId, text] of await foldTable(work, { server, table, rows })) {
      merged.set(table, { rowId, text });
    }
  }
}

/** Merges a table's entries; gives the states of their rows, as text. */
async function foldTable(work: SqlWork, context: TableContext): Promise<Map<string, string>> {
  const { server: { dialect }, rows } = context;
  // What begins with an INSERT is most likely not there: where the database can tell while it writes,
  // it is not asked before.
  const { writeNew } = dialect;
  const asked = writeNew === undefined
    ? [...rows.keys()]
    : [...rows].filter(([, [first]]) => first!.delta.op !== "INSERT").map(([rowId]) => rowId);
  // Not awaited where there is nothing to ask: what is written next goes out before anything else.
  const known = asked.length === 0
    ? new Map<string, RowState>()
    : await statesOf(work, { ...context, rowIds: asked });
  const texts = new Map<string, string>();
  const added: string[] = [];
  for (const [rowId, entries] of rows) {
    if (!known.has(rowId)) added.push(rowId);
    texts.set(rowId, mergedText(rowId, { state: known.get(rowId) ?? emptyRow(), entries }));
  }
  const changed = [...known.keys()];
  const newRows = statesWrite(context, { texts, rowIds: added });
  if (writeNew === undefined) await writeRows(work, { dialect, write: newRows });
  else if (added.length > 0) {
    const written = firstNumber(await work.run(writeNew(newRows)));
    if (written !== added.length) {
      for (const [rowId, state] of await statesOf(work, { ...context, rowIds: added })) {
        // What was just written is there as it is to be.
        if (stateText({ rowId, state }) === texts.get(rowId)) continue;
        texts.set(rowId, mergedText(rowId, { state, entries: rows.get(rowId)! }));
        changed.push(rowId);
      }
    }
  }
  const write = { ...statesWrite(context, { texts, rowIds: changed }), key: ROWS.key };
  await writeRows(work, { dialect, write });
  return texts;
}

function mergedText(
  rowId: string,
  { state, entries }: { state: RowState; entries: readonly FlushEntry[] },
): string {
  for (const { delta } of entries) mergeDelta(state, delta);
  return stateText({ rowId, state });
}

function statesWrite(
  { server, table }: TableContext,
  { texts, rowIds }: { texts: ReadonlyMap<string, string>; rowIds: readonly string[] },
): SqlWrite {
  const key = server.dialect.column("key");
  const rows = rowIds.map((rowId): SqlParameter[] => [
    key.encode(rowKey(table, rowId))!,
    texts.get(rowId)!,
  ]);
  // Next to each other in the index, so that each of its pages is touched once.
  rows.sort(([a], [b]) => a! < b! ? -1 : 1);
  return { table: ROWS.name, columns: ROWS.columns, rows };
}

/** The states that rows have; none for those that are not there. */
async function statesOf(
  work: SqlWork,
  { server, table, rowIds }: TableContext & { rowIds: readonly string[] },
): Promise<Map<string, RowState>> {
  const key = server.dialect.column("key");
  const keys = rowIds.map((rowId) => key.encode(rowKey(table, rowId))!);
  const found = await lookUp(work, { server, table, keys });
  return new Map(found.map(({ rowId, state }) => [rowId, state]));
}
