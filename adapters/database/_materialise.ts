import {
  type Clock,
  isVisible,
  LakeSyncError,
  type MaterialiseReport,
  type SqlDialect,
  type SqlParameter,
  type SqlServer,
  type SqlStatement,
  type SqlWork,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { MaterialisedTable } from "./materialised_table.ts";
import { shapeStatements } from "./_shape.ts";
import type { Lately } from "./_lately.ts";
import { firstNumber, raw, sql, writeRows } from "./_sql.ts";
import { parseStateText } from "./_state_text.ts";
import { windowsAfter } from "./_windows.ts";

/** How many rows one statement deletes. */
const DELETES = 1_000;

/** What a stretch of windows did. */
interface Stretch {
  readonly upserted: number;
  readonly deleted: number;
  /** By column, how many values it could not hold. */
  readonly misfits: ReadonlyMap<string, number>;
  readonly more: boolean;
}

/**
 * The one algorithm: makes or alters the table, then goes through the deltas that are new to it,
 * window by window, and writes what their rows have become. A row's state is the merge of all its
 * deltas, so neither their order nor their repetition matters; some windows and the note of them are
 * one commit, so a crash repeats nothing that counts. What this process has merged itself is not read
 * back. A window is read and made ready while the one before it is written: the database and this
 * process work at once.
 *
 * A table that was made or has grown is written anew from the first delta on: what was in `props`,
 * or was dropped by somebody, gets its place.
 */
export async function materialiseTable(
  server: SqlServer,
  options: {
    schema: TableSchema;
    clock: Clock;
    lately: Lately;
    signal: AbortSignal | undefined;
  },
): Promise<MaterialiseReport> {
  const { schema, clock, lately, signal } = options;
  const table = new MaterialisedTable(schema, server.dialect);
  const stop = signal === undefined ? {} : { signal };
  const misfits = new Map<string, number>();
  unwrapOrThrow(await server.transaction((work) => shape(work, { server, table }), stop));
  let upserted = 0;
  let deleted = 0;
  for (let more = true; more;) {
    if (signal?.aborted === true) {
      throw new LakeSyncError(
        "ABORTED",
        `Stopped materialising "${table.name}": it goes on there`,
        {
          cause: signal.reason,
        },
      );
    }
    const stretch = unwrapOrThrow(
      await server.transaction(
        (work) => writeStretch(work, { server, table, clock, lately }),
        stop,
      ),
    );
    upserted += stretch.upserted;
    deleted += stretch.deleted;
    // Once it is committed: one that was overtaken is run again.
    for (const [column, count] of stretch.misfits) add(misfits, column, count);
    more = stretch.more;
  }
  return { upserted, deleted, misfits };
}

async function shape(
  work: SqlWork,
  options: { server: SqlServer; table: MaterialisedTable },
): Promise<void> {
  const { table } = options;
  await work.run(lockDone(table));
  const statements = await shapeStatements(work, options);
  if (statements.length === 0) return;
  // First: some databases commit by themselves before they alter a table.
  await work.run(sql`UPDATE lakesync_tables SET done = 0 WHERE table_name = ${table.name}`);
  for (const statement of statements) await work.run(statement);
}

async function writeStretch(
  work: SqlWork,
  options: {
    server: SqlServer;
    table: MaterialisedTable;
    clock: Clock;
    lately: Lately;
  },
): Promise<Stretch> {
  const { server, table, clock, lately } = options;
  const { dialect } = server;
  const misfits = new Map<string, number>();
  const misfit = (column: string) => add(misfits, column, 1);
  let upserted = 0;
  let deleted = 0;
  const done = firstNumber(await work.run(lockDone(table)));
  if (done === undefined) return { upserted, deleted, misfits, more: false };
  const syncedAt = dialect.column("timestamp").encode(
    new Date(clock.now()).toISOString().replace("Z", "000Z"),
  )!;
  const windows = await windowsAfter(work, { server, table: table.name, done, lately });
  let through = done;
  let writing: Promise<void> = Promise.resolve();
  for (let reading = windows.next(done); reading !== undefined;) {
    // Whichever fails first says why.
    const window = await Promise.race([reading, writing.then(() => reading)]);
    if (window === undefined) break;
    through = window.through;
    reading = windows.next(through);
    // Where the writing fails, nobody waits for it.
    reading?.catch(() => {});
    const rows: SqlParameter[][] = [];
    const dead: SqlParameter[] = [];
    for (const text of window.states) {
      const row = parseStateText(text, table.name);
      if (isVisible(row.state)) rows.push(table.encode(row, { syncedAt, misfit }));
      else dead.push(table.id(row.rowId));
    }
    upserted += rows.length;
    deleted += dead.length;
    await writing;
    writing = writeWindow(work, { dialect, table, rows, dead });
    writing.catch(() => {});
  }
  await writing;
  if (through !== done) {
    await work.run(
      sql`UPDATE lakesync_tables SET done = ${through} WHERE table_name = ${table.name}`,
    );
  }
  return { upserted, deleted, misfits, more: windows.more() };
}

/** Writes rows into a table for people, and takes others out of it. */
export async function writeWindow(
  work: SqlWork,
  options: {
    dialect: SqlDialect;
    table: MaterialisedTable;
    rows: readonly (readonly SqlParameter[])[];
    dead: readonly SqlParameter[];
  },
): Promise<void> {
  const { dialect, table, rows, dead } = options;
  const write = { table: table.name, columns: table.columns, key: 1, rows };
  await writeRows(work, { dialect, write });
  const name = raw(dialect.quote(table.name));
  for (let i = 0; i < dead.length; i += DELETES) {
    const ids = dialect.within(dialect.quote("id"), {
      type: "id",
      values: dead.slice(i, i + DELETES),
    });
    await work.run(sql`DELETE FROM ${name} WHERE ${ids}`);
  }
}

function add(counts: Map<string, number>, column: string, count: number): void {
  counts.set(column, (counts.get(column) ?? 0) + count);
}

/** Locks a table's line, so that it is materialised by one at a time, and gives how far it is. */
export function lockDone(table: MaterialisedTable): SqlStatement {
  return sql`SELECT done FROM lakesync_tables WHERE table_name = ${table.name} FOR UPDATE`;
}
