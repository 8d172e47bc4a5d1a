import { DatabaseSync } from "node:sqlite";
import type { LogPosition, LogSnapshot, RowWrite } from "@lakesync/core";
import { rowFromJson } from "./row_json.ts";
import type { RowMap } from "./row_map.ts";
import type { KeptRow } from "./sqlite_rows.ts";
import { storageError } from "./sqlite_error.ts";
import { readText } from "./sqlite_text.ts";
import { closedError } from "./store_error.ts";

/** The most rows of a chunk, and the characters of stored states with which it ends earlier. */
const CHUNK = 500;
const CHUNK_CHARS = 2 ** 20;

/** What a snapshot is taken of. */
export interface SnapshotOptions {
  /** The log's file. */
  readonly path: string;
  /** The head. */
  readonly position: LogPosition;
  /** The rows that are newer than their table. */
  readonly dirty: RowMap<number, KeptRow>;
  /** The numbers of the tables by name. */
  readonly tables: ReadonlyMap<string, number>;
  /** Where what closes a snapshot stands while it is open. */
  readonly open: Set<() => void>;
}

/**
 * Takes a snapshot: a second connection holds its own view of the table while the store's goes on
 * writing; the rows that are not folded yet are laid over it. Both in one turn of the event loop.
 */
export function openSnapshot(options: SnapshotOptions): LogSnapshot {
  const { path, position, dirty, tables, open } = options;
  const names = new Map([...tables].map(([name, no]) => [no, name]));
  const reader = new DatabaseSync(path, { readOnly: true });
  reader.exec("BEGIN");
  reader.prepare("SELECT 1 FROM meta LIMIT 1").get();
  const close = () => {
    if (open.delete(close)) reader.close();
  };
  open.add(close);
  return {
    position,
    rows: (only) =>
      withCodes(
        readRows({ reader, dirty, names, tables: only }),
        (thrown) => open.has(close) ? storageError(thrown, path) : closedError(),
      ),
    close: () => Promise.resolve(close()),
  };
}

/** The same rows; what reading them throws has a code. */
async function* withCodes(
  rows: AsyncIterable<readonly RowWrite[]>,
  toError: (thrown: unknown) => Error,
): AsyncGenerator<readonly RowWrite[]> {
  try {
    yield* rows;
  } catch (thrown) {
    throw toError(thrown);
  }
}

async function* readRows(context: {
  reader: DatabaseSync;
  dirty: RowMap<number, KeptRow>;
  names: Map<number, string>;
  tables: readonly string[] | undefined;
}): AsyncGenerator<readonly RowWrite[]> {
  const { reader, dirty, names, tables } = context;
  const next = reader.prepare(
    "SELECT row_id, state FROM rows WHERE tbl = ? AND row_id > ? ORDER BY row_id LIMIT ?",
  );
  for (const [tbl, table] of names) {
    if (tables !== undefined && !tables.includes(table)) continue;
    for (let after = "";;) {
      const rows: { row_id: string; state: string }[] = [];
      let chars = 0;
      for (const item of next.iterate(tbl, after, CHUNK)) {
        const row = item as unknown as { row_id: string; state: string };
        rows.push(row);
        chars += row.state.length;
        if (chars >= CHUNK_CHARS) break;
      }
      if (rows.length === 0) break;
      after = rows.at(-1)!.row_id;
      yield rows.filter(({ row_id }) => dirty.get(tbl, readText(row_id)) === undefined)
        .map(({ row_id, state }) => ({
          table,
          rowId: readText(row_id),
          state: rowFromJson(state),
        }));
    }
    let chunk: RowWrite[] = [];
    for (const row of dirty.of(tbl).values()) {
      chunk.push({ table, rowId: row.rowId, state: rowFromJson(row.text) });
      if (chunk.length === CHUNK) {
        yield chunk;
        chunk = [];
      }
    }
    if (chunk.length > 0) yield chunk;
  }
}
