import {
  type Hlc,
  type LakeFile,
  type LakeReader,
  type LakeScan,
  LakeSyncError,
} from "@lakesync/core";
import { type AppTable, namedRelations, type Relation } from "./_catalogue.ts";
import { changesSql } from "./_changes.ts";
import { type AppColumn, appColumns, OWN_COLUMNS } from "./_layout.ts";
import { PendingTable } from "./_load.ts";
import { rowsSql } from "./_merge.ts";
import type { Session } from "./_session.ts";
import { name } from "./_sql.ts";
import type { TieCheck } from "./_ties.ts";
import type { PendingDeltas } from "./pending.ts";

/** What relations are made from. */
export interface ViewSource {
  readonly lake: LakeReader;
  readonly pending: PendingDeltas | undefined;
  readonly locate: (file: LakeFile) => string;
  readonly asOf: Hlc | undefined;
  readonly signal: AbortSignal | undefined;
  readonly ties: TieCheck;
}

/** A table at the snapshot that a query sees. */
interface PlannedTable {
  readonly table: AppTable;
  readonly scan: LakeScan | undefined;
  readonly columns: readonly AppColumn[];
}

/**
 * Makes the relations that a text of SQL names, as TEMP views of a session. Throws a
 * `LakeSyncError`.
 *
 * First the lake's snapshots are fixed, then the log is read above their watermarks: what is flushed
 * in between is in the log still, and nothing is read twice.
 */
export async function prepareRelations(
  session: Session,
  options: { sql: string; relations: ReadonlyMap<string, Relation>; source: ViewSource },
): Promise<void> {
  const { relations, source } = options;
  const named = namedRelations(options.sql, relations);
  const plans = new Map<string, PlannedTable>();
  for (const { table } of named) {
    if (!plans.has(table.name)) plans.set(table.name, await planTable(table, source));
  }
  const pending = await loadPending(session, { plans, source });
  for (const { table, scan, columns } of plans.values()) {
    const changes = {
      columns,
      scan,
      pending: pending.has(table.name) ? pendingName(table) : undefined,
      asOf: source.asOf,
      locate: source.locate,
    };
    await createView(session, { view: changesName(table), sql: changesSql(changes) });
    for (const { name: view, kind } of named.filter((relation) => relation.table === table)) {
      let sql = `SELECT * FROM ${name(changesName(table))}`;
      if (kind === "rows") {
        const ties = await source.ties.check(session, { table: table.name, source: changes });
        sql = rowsSql(changesName(table), { columns, ties });
      }
      await createView(session, { view, sql });
    }
  }
}

/** `#` is no letter of an identifier, so these hide nobody's table. */
function changesName(table: AppTable): string {
  return `${table.name}#changes`;
}

function pendingName(table: AppTable): string {
  return `${table.name}#pending`;
}

async function createView(
  session: Session,
  { view, sql }: { view: string; sql: string },
): Promise<void> {
  await session.run((connection) => connection.run(`CREATE TEMP VIEW ${name(view)} AS ${sql}`));
}

async function planTable(table: AppTable, source: ViewSource): Promise<PlannedTable> {
  if (table.lakeName === undefined) {
    return { table, scan: undefined, columns: appColumns(undefined, table.schema) };
  }
  const scanned = await source.lake.scan(table.lakeName);
  if (!scanned.ok) throw scanned.error;
  const scan = scanned.value;
  const present = new Set(scan.columns.map((column) => column.name));
  const missing = OWN_COLUMNS.find((column) => !present.has(column.name));
  if (missing !== undefined) {
    throw new LakeSyncError(
      "CORRUPT",
      `Cannot read lake table "${table.lakeName}": it has no column "${missing.name}", so LakeSync ` +
        `has not made it; rename it or move it elsewhere`,
    );
  }
  return { table, scan, columns: appColumns(scan, table.schema) };
}

/** Loads the deltas that the planned snapshots do not have; the names of the tables that have some. */
async function loadPending(
  session: Session,
  options: { plans: ReadonlyMap<string, PlannedTable>; source: ViewSource },
): Promise<ReadonlySet<string>> {
  const { plans, source: { pending, signal } } = options;
  const after = new Map<string, number>();
  for (const { table, scan } of plans.values()) {
    if (pending === undefined || table.schema === undefined) continue;
    const { watermark } = scan ?? {};
    // A watermark of another epoch says nothing about this log: all of it is new to the lake.
    after.set(table.name, watermark?.epoch === pending.epoch ? watermark.seq : 0);
  }
  const loads = new Map<string, PendingTable>();
  if (pending === undefined || after.size === 0) return new Set();
  try {
    for await (const chunk of pending.read(after, signal === undefined ? {} : { signal })) {
      if (!chunk.ok) throw chunk.error;
      session.check();
      for (const entry of chunk.value) {
        const from = after.get(entry.delta.table);
        if (from === undefined || entry.seq <= from) continue;
        let load = loads.get(entry.delta.table);
        if (load === undefined) {
          const { table, columns } = plans.get(entry.delta.table)!;
          load = await session.run((connection) =>
            PendingTable.create(connection, { table: pendingName(table), columns })
          );
          loads.set(entry.delta.table, load);
        }
        load.add(entry);
      }
    }
    session.check();
    for (const load of loads.values()) load.finish();
  } catch (thrown) {
    for (const load of loads.values()) load.discard();
    throw thrown;
  }
  return new Set(loads.keys());
}
