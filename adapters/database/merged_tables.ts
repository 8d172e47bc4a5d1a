import {
  type Clock,
  type DatabaseAdapter,
  err,
  isVisible,
  type LogStore,
  type Materialisable,
  type MaterialiseOptions,
  type MaterialiseReport,
  ok,
  type Result,
  type SqlServer,
  type SqlWork,
  systemClock,
  type TableSchema,
  toLakeSyncError,
  unwrapOrThrow,
} from "@lakesync/core";
import { lockDone, writeWindow } from "./_materialise.ts";
import { shapeStatements } from "./_shape.ts";
import { MaterialisedTable } from "./materialised_table.ts";

/** Options of {@linkcode mergedTables}. */
export interface MergedTablesOptions {
  /** What the tables show: `lifecycleDatabase({ … })`, say. */
  readonly database: DatabaseAdapter;
  /** Where they are: a `sqlAdapter` keeps deltas of the same tables there. */
  readonly server: SqlServer;
  /** Where it is kept how far each of them is: the gateway's log store, say. */
  readonly store: Pick<LogStore, "getValue" | "setValue">;
  /** What begins the names of the values there. */
  readonly key: string;
  /**
   * Tells when a row was written.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** How many deltas are looked at at once. */
const PAGE = 1_000;

/**
 * Tables for people of what several databases come to together: all of its rows, in one of them. Where
 * a row's deltas and its stamps are makes no difference. Its rows are read under the lock of their
 * table, so who writes later has read later.
 *
 * @param options What, and where.
 * @returns What a `databaseDestination` takes as `materialise.with`.
 *
 * @example Over databases that are not there
 * ```ts
 * import { mergedTables, sqlAdapter } from "@lakesync/adapter-database";
 * import { postgresServer } from "@lakesync/adapter-postgres";
 * import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { memoryLogStore } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const server = unwrapOrThrow(await postgresServer({ url: "postgres://nobody@127.0.0.1:1/none" }));
 * const database = sqlAdapter({ server, name: "pg" });
 * const tables = mergedTables({ database, server, store: memoryLogStore(), key: "shown" });
 * const made = await tables.materialise(defineTable("todos", { title: string() }).schema);
 * assertEquals(made.ok || made.error.code, "OFFLINE");
 * await database.close();
 * ```
 */
export function mergedTables(options: MergedTablesOptions): Materialisable {
  return {
    async materialise(schema, { signal }: MaterialiseOptions = {}) {
      try {
        return await bringUpToDate(schema, { ...options, signal });
      } catch (thrown) {
        return err(toLakeSyncError(thrown, "INTERNAL"));
      }
    },
  };
}

async function bringUpToDate(
  schema: TableSchema,
  options: MergedTablesOptions & { readonly signal: AbortSignal | undefined },
): Promise<Result<MaterialiseReport>> {
  const { database, server, store, signal } = options;
  const key = `${options.key}:${schema.table}`;
  const stop = signal === undefined ? {} : { signal };
  const table = new MaterialisedTable(schema, server.dialect);
  unwrapOrThrow(await database.ensureSchema([schema], stop));
  const known = unwrapOrThrow(await store.getValue(key));
  // One that was made or has grown is written anew from the first delta on.
  const made = unwrapOrThrow(
    await server.transaction(async (work) => {
      await work.run(lockDone(table));
      const statements = await shapeStatements(work, { server, table });
      // First: some databases commit by themselves before they alter a table.
      if (statements.length > 0) unwrapOrThrow(await store.setValue(key, null));
      for (const statement of statements) await work.run(statement);
      return statements.length > 0;
    }, stop),
  );
  let cursor = made ? undefined : known;
  const report = { upserted: 0, deleted: 0, misfits: new Map<string, number>() };
  for (let more = true; more;) {
    const page = await database.queryDeltasSince(cursor, {
      ...stop,
      tables: [schema.table],
      limit: PAGE,
    });
    if (!page.ok) return page;
    const rowIds = [...new Set(page.value.entries.map(({ delta }) => delta.rowId))];
    if (rowIds.length > 0) {
      const written = await server.transaction(
        (work) => writeRowsOf(work, { ...options, table, rowIds }),
        stop,
      );
      if (!written.ok) return written;
      report.upserted += written.value.upserted;
      report.deleted += written.value.deleted;
      for (const [column, count] of written.value.misfits) {
        report.misfits.set(column, (report.misfits.get(column) ?? 0) + count);
      }
    }
    // One that is lost is read again, which changes nothing.
    if (page.value.cursor !== cursor) {
      unwrapOrThrow(await store.setValue(key, page.value.cursor));
      cursor = page.value.cursor;
    }
    more = page.value.hasMore;
  }
  return ok(report);
}

async function writeRowsOf(
  work: SqlWork,
  options: MergedTablesOptions & {
    readonly table: MaterialisedTable;
    readonly rowIds: readonly string[];
  },
): Promise<MaterialiseReport> {
  const { database, server: { dialect }, table, rowIds, clock = systemClock } = options;
  const misfits = new Map<string, number>();
  const misfit = (column: string) => void misfits.set(column, (misfits.get(column) ?? 0) + 1);
  await work.run(lockDone(table));
  const now = new Date(clock.now()).toISOString().replace("Z", "000Z");
  const syncedAt = dialect.column("timestamp").encode(now)!;
  const states = unwrapOrThrow(
    await database.getLatestState(table.name, { rowIds, limit: rowIds.length }),
  );
  const alive = states.rows.filter(({ state }) => isVisible(state));
  const dead = states.rows.filter(({ state }) => !isVisible(state));
  await writeWindow(work, {
    dialect,
    table,
    rows: alive.map((row) => table.encode(row, { syncedAt, misfit })),
    dead: dead.map(({ rowId }) => table.id(rowId)),
  });
  return { upserted: alive.length, deleted: dead.length, misfits };
}
