import {
  type Checkpoint,
  type CheckpointRow,
  type Delta,
  err,
  hasReached,
  type Hlc,
  ok,
  type Result,
  type SqlDatabase,
  type SqlTransaction,
  type SqlValue,
  toLakeSyncError,
} from "@lakesync/core";
import { encodeBaseRow } from "./_base.ts";
import { widened } from "./_learned.ts";
import { insertRows } from "./_insert_rows.ts";
import { type LocalTable, quote, toSql } from "./_local_table.ts";
import { dropStage } from "./_open_schema.ts";
import { reenqueue, settle } from "./_settle.ts";
import { showRows, TouchedRows } from "./_show.ts";
import { type ClientState, maxHlc, observe, readState, writeState } from "./_state.ts";
import { sameSeq } from "./_log_seq.ts";

/** So many rows are staged in a transaction: between two of them the app's writes have their turn. */
const STAGE_ROWS = 8_000;

/** Rows with own deltas that are looked at together. */
const OWN_ROWS = 1_000;

/** What {@linkcode applyCheckpoint} works with. */
export interface ApplyCheckpointOptions {
  /** The state when the checkpoint was asked for. */
  asked: ClientState;
  /** The declared tables. */
  tables: ReadonlyMap<string, LocalTable>;
  /** The schema version that it was asked for with. */
  schemaVersion: number;
  /** The device's time, in ms. */
  now: number;
  /** Told how many rows have been written, after each chunk. */
  staged: (rows: number) => void;
}

/**
 * What became of a checkpoint: how many rows it had, and how many own deltas went back into the
 * outbox; `stale` where the base moved meanwhile.
 */
export type CheckpointOutcome =
  | { readonly status: "applied"; readonly rows: number; readonly requeued: number }
  | { readonly status: "stale" };

/**
 * Replaces the base by a checkpoint (PROTOCOL, sections 2 and 6).
 *
 * Its rows stream into stage tables, a chunk a transaction, in bounded memory; the app's tables stay
 * readable and writable all the while. One last short transaction puts the stage tables into the
 * place of the base and of the app's tables and lays the own deltas on top: those of before and
 * those that were made meanwhile. A stream that breaks off leaves everything as it was.
 */
export async function applyCheckpoint(
  database: SqlDatabase,
  checkpoint: Checkpoint,
  options: ApplyCheckpointOptions,
): Promise<Result<CheckpointOutcome>> {
  const tables = widened(options.tables, options.asked.learned);
  const staged = await stage(database, checkpoint, { tables, staged: options.staged });
  const applied = staged.ok
    ? await database.transaction((tx) =>
      install(tx, checkpoint, { ...options, tables, ...staged.value })
    )
    : staged;
  if (!applied.ok || applied.value.status !== "applied") {
    // Where this fails too, the next opening or checkpoint does it.
    await database.transaction(dropStage);
  }
  return applied;
}

/** What came. */
interface Staged {
  readonly rows: number;
  readonly greatest: Hlc | undefined;
}

async function stage(
  database: SqlDatabase,
  checkpoint: Checkpoint,
  options: Pick<ApplyCheckpointOptions, "tables" | "staged">,
): Promise<Result<Staged>> {
  const { tables } = options;
  const made = await database.transaction(async (tx) => {
    await dropStage(tx);
    for (const table of tables.values()) {
      await tx.run(table.stage.base.create);
      await tx.run(table.stage.shown.create);
    }
  });
  if (!made.ok) return made;
  let rows = 0;
  let greatest: Hlc | undefined;
  let pending: CheckpointRow[] = [];
  const flush = async (): Promise<Result<void>> => {
    const chunk = pending;
    pending = [];
    rows += chunk.length;
    const written = await database.transaction(async (tx) => {
      greatest = maxHlc(greatest, await stageRows(tx, chunk, tables));
    });
    if (written.ok && chunk.length > 0) options.staged(rows);
    return written;
  };
  try {
    for await (const chunk of checkpoint.rows) {
      for (const row of chunk) pending.push(row);
      if (pending.length < STAGE_ROWS) continue;
      const flushed = await flush();
      if (!flushed.ok) return flushed;
    }
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "OFFLINE"));
  }
  const flushed = await flush();
  return flushed.ok ? ok({ rows, greatest }) : flushed;
}

/** Writes a chunk; its greatest stamp. */
async function stageRows(
  tx: SqlTransaction,
  chunk: readonly CheckpointRow[],
  tables: ReadonlyMap<string, LocalTable>,
): Promise<Hlc | undefined> {
  let greatest: Hlc | undefined;
  const byTable = new Map<LocalTable, { base: SqlValue[][]; shown: SqlValue[][] }>();
  for (const row of chunk) {
    const table = tables.get(row.table);
    // A table that this version of the app doesn't know.
    if (table === undefined) continue;
    let params = byTable.get(table);
    if (params === undefined) byTable.set(table, params = { base: [], shown: [] });
    params.base.push([row.rowId, encodeBaseRow(row, table)]);
    const shown: SqlValue[] = [row.rowId];
    greatest = maxHlc(greatest, row.life[0]);
    for (const column of table.schema.columns) {
      const register = Object.hasOwn(row.columns, column.name)
        ? row.columns[column.name]
        : undefined;
      shown.push(toSql(column, register?.[0]));
      if (register !== undefined && register[1] !== row.life[0]) {
        greatest = maxHlc(greatest, register[1]);
      }
    }
    params.shown.push(shown);
  }
  for (const [table, params] of byTable) {
    await insertRows(tx, table.stage.base.add, params.base);
    await insertRows(tx, table.stage.shown.add, params.shown);
  }
  return greatest;
}

async function install(
  tx: SqlTransaction,
  checkpoint: Checkpoint,
  options: ApplyCheckpointOptions & Staged,
): Promise<CheckpointOutcome> {
  const { asked, tables, schemaVersion, now, rows, greatest } = options;
  const state = await readState(tx);
  const moved = state.cursor !== asked.cursor || !sameSeq(state.seq, asked.seq) ||
    state.due !== asked.due || state.learned.tag !== asked.learned.tag;
  if (moved) return { status: "stale" };
  for (const table of tables.values()) await swap(tx, table);
  // A log that ends before our base does was restored, whatever the gateway said.
  const isReset = state.due === 2 || !hasReached(checkpoint.seq, state.seq);
  const requeued = isReset ? await reenqueue(tx) : 0;
  observe(state, greatest);
  state.cursor = checkpoint.cursor;
  state.seq = checkpoint.seq;
  state.due = 0;
  state.stated = schemaVersion;
  // What may be seen may have become more: the tables are told once more.
  state.learned = { ...state.learned, tag: "" };
  await writeState(tx, state);
  // What settles is in the new base and shown by it already.
  await settle(tx, state, { now, touched: new TouchedRows() });
  for (const table of tables.values()) await showOwn(tx, table);
  return { status: "applied", rows, requeued };
}

/** Puts the stage tables into their places, and the app's own indexes and triggers onto them. */
async function swap(tx: SqlTransaction, table: LocalTable): Promise<void> {
  const extras = await tx.all(
    "SELECT sql FROM sqlite_master " +
      "WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL",
    [table.name],
  );
  // Views of the app keep naming its table; SQLite would else refuse to rename under them.
  await tx.run("PRAGMA legacy_alter_table = ON");
  try {
    await tx.run(`DROP TABLE ${table.base.name}`);
    await tx.run(`DROP TABLE ${table.shown.name}`);
    await tx.run(`ALTER TABLE ${table.stage.base.name} RENAME TO ${table.base.name}`);
    await tx.run(`ALTER TABLE ${table.stage.shown.name} RENAME TO ${quote(table.name)}`);
  } finally {
    await tx.run("PRAGMA legacy_alter_table = OFF");
  }
  for (const { sql } of extras) await tx.run(sql as string);
}

/** Lays the own deltas onto a table's rows. */
async function showOwn(tx: SqlTransaction, table: LocalTable): Promise<void> {
  let after = "";
  for (;;) {
    const rows = await tx.all(
      "SELECT json FROM lakesync_own_state CROSS JOIN lakesync_own_json USING (ord) " +
        "WHERE tbl = ? AND row_id > ? AND state < 4 GROUP BY row_id ORDER BY row_id LIMIT ?",
      [table.name, after, OWN_ROWS],
    );
    const ids = rows.map(({ json }) => (JSON.parse(json as string) as Delta).rowId);
    await showRows(tx, table, ids);
    if (rows.length < OWN_ROWS) return;
    after = ids.at(-1)!;
  }
}
