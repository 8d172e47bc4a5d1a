import {
  type Clock,
  isVisible,
  LakeSyncError,
  type MaterialiseReport,
  type SqlParameter,
  type SqlServer,
  type SqlWork,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { MaterialisedTable } from "./materialised_table.ts";
import { shapeStatements } from "./_shape.ts";
import { lookUp } from "./_look_up.ts";
import { firstNumber, raw, sql, writeRows } from "./_sql.ts";

/** How many deltas one transaction brings into a table. */
const WINDOW = 10_000;
/** How many rows one statement deletes. */
const DELETES = 1_000;

/** What a window did. */
interface Window {
  readonly upserted: number;
  readonly deleted: number;
  readonly more: boolean;
}

/**
 * The one algorithm: makes or alters the table, then goes through the deltas that are new to it,
 * window by window, and writes what their rows have become. A row's state is the merge of all its
 * deltas, so neither their order nor their repetition matters; a window and the note of it are one
 * commit, so a crash repeats nothing that counts.
 *
 * A table that was made or has grown is written anew from the first delta on: what was in `props`,
 * or was dropped by somebody, gets its place.
 */
export async function materialiseTable(
  server: SqlServer,
  options: { schema: TableSchema; clock: Clock; signal?: AbortSignal | undefined },
): Promise<MaterialiseReport> {
  const { schema, clock, signal } = options;
  const table = new MaterialisedTable(schema, server.dialect);
  const stop = signal === undefined ? {} : { signal };
  const misfits = new Map<string, number>();
  const misfit = (column: string) => misfits.set(column, (misfits.get(column) ?? 0) + 1);
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
    const window = unwrapOrThrow(
      await server.transaction((work) => writeWindow(work, { server, table, clock, misfit }), stop),
    );
    upserted += window.upserted;
    deleted += window.deleted;
    more = window.more;
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

async function writeWindow(
  work: SqlWork,
  options: {
    server: SqlServer;
    table: MaterialisedTable;
    clock: Clock;
    misfit: (column: string) => void;
  },
): Promise<Window> {
  const { server, table, clock, misfit } = options;
  const { dialect } = server;
  const done = firstNumber(await work.run(lockDone(table)));
  const nothing: Window = { upserted: 0, deleted: 0, more: false };
  if (done === undefined) return nothing;
  const window = await work.run(
    sql`SELECT pos, row_key FROM lakesync_deltas WHERE table_name = ${table.name} AND pos > ${done}
      ORDER BY table_name, pos LIMIT ${raw(String(WINDOW))}`,
  );
  const through = window.at(-1)?.[0];
  if (through === undefined) return nothing;
  const keys = [...new Set(window.map(([, key]) => key!))];
  const changed = await lookUp(work, { server, table: table.name, keys });
  const syncedAt = dialect.column("timestamp").encode(
    new Date(clock.now()).toISOString().replace("Z", "000Z"),
  )!;
  const rows: SqlParameter[][] = [];
  const dead: SqlParameter[] = [];
  for (const row of changed) {
    if (isVisible(row.state)) rows.push(table.encode(row, { syncedAt, misfit }));
    else dead.push(table.id(row.rowId));
  }
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
  await work.run(
    sql`UPDATE lakesync_tables SET done = ${Number(through)} WHERE table_name = ${table.name}`,
  );
  return { upserted: rows.length, deleted: dead.length, more: window.length === WINDOW };
}

/** Locks a table's line, so that it is materialised by one at a time, and gives how far it is. */
function lockDone(table: MaterialisedTable) {
  return sql`SELECT done FROM lakesync_tables WHERE table_name = ${table.name} FOR UPDATE`;
}
