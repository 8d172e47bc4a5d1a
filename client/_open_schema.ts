import {
  checkEvolution,
  LakeSyncError,
  type Random,
  type Result,
  type SqlDatabase,
  type SqlTransaction,
  type TableSchema,
} from "@lakesync/core";
import { columnSql, INTERNAL_PREFIX, type LocalTable } from "./_local_table.ts";
import { OWN_SQL } from "./_own.ts";
import { pruneOwn } from "./_settle.ts";
import { type ClientState, readState, STATE_SQL } from "./_state.ts";

/** The layout of the client's own tables. */
const FORMAT = 1;

/** What {@linkcode openSchema} needs. */
export interface OpenSchemaOptions {
  /** The declared tables. */
  tables: readonly LocalTable[];
  /** The id to give a new database, and to hold an old one to. */
  clientId: string | undefined;
  /** Where a new id comes from. */
  random: Random;
  /** Deltas that were settled before this time, in ms, have been kept long enough. */
  settledBefore: number;
}

/**
 * Makes the client's tables, or brings those of an older version of the app up to date, in one
 * transaction.
 */
export async function openSchema(
  database: SqlDatabase,
  options: OpenSchemaOptions,
): Promise<Result<ClientState>> {
  return await database.transaction(async (tx) => {
    const known = await tx.all("SELECT 1 FROM sqlite_master WHERE name = 'lakesync_state'");
    if (known.length === 0) await makeTables(tx, options);
    const format = (await tx.all("SELECT format FROM lakesync_state"))[0]?.format;
    if (format !== FORMAT) {
      throw new LakeSyncError(
        "CORRUPT",
        `Cannot read a database of format ${format}: this client knows format ${FORMAT}, update @lakesync/client`,
      );
    }
    const state = await readState(tx);
    if (options.clientId !== undefined && options.clientId !== state.clientId) {
      throw new LakeSyncError(
        "CONFLICT",
        `Cannot open as client "${options.clientId}": this database is "${state.clientId}" and stays so, use another file`,
      );
    }
    const changed = await evolve(tx, state.schemas, options.tables);
    await dropStage(tx);
    await pruneOwn(tx, { before: options.settledBefore });
    return changed ? await readState(tx) : state;
  });
}

async function makeTables(tx: SqlTransaction, options: OpenSchemaOptions): Promise<void> {
  for (const sql of [...STATE_SQL, ...OWN_SQL]) await tx.run(sql);
  await tx.run(
    `INSERT INTO lakesync_state (one, format, client_id, schemas, cursor, seq, offset_ms, due)
     VALUES (1, ?, ?, '[]', '', 0, 0, 0)`,
    [FORMAT, JSON.stringify(options.clientId ?? options.random.uuid())],
  );
}

/** Adds what the declared tables have more than the stored ones; whether anything changed. */
async function evolve(
  tx: SqlTransaction,
  stored: readonly TableSchema[],
  tables: readonly LocalTable[],
): Promise<boolean> {
  const schemas = tables.map(({ schema }) => schema);
  if (JSON.stringify(stored) === JSON.stringify(schemas)) return false;
  const allowed = checkEvolution(stored, schemas);
  if (!allowed.ok) throw allowed.error;
  const old = new Map(stored.map((schema) => [schema.table, schema]));
  for (const table of tables) {
    const before = old.get(table.name);
    if (before === undefined) {
      await tx.run(table.shown.create);
      await tx.run(table.base.create);
      continue;
    }
    const had = new Set(before.columns.map(({ name }) => name));
    for (const column of table.schema.columns) {
      if (had.has(column.name)) continue;
      await tx.run(`ALTER TABLE ${table.shown.name} ADD COLUMN ${columnSql(column)}`);
    }
  }
  // Pages dropped what was not declared then: only a checkpoint brings it.
  await tx.run(
    "UPDATE lakesync_state SET schemas = ?, due = max(due, cursor <> '')",
    [JSON.stringify(schemas)],
  );
  return true;
}

/** Removes what a checkpoint left behind that was broken off. */
export async function dropStage(tx: SqlTransaction): Promise<void> {
  const rows = await tx.all(
    "SELECT name FROM sqlite_master WHERE type = 'table' " +
      "AND (name LIKE 'lakesync\\_stage\\_%' ESCAPE '\\' OR name LIKE 'lakesync\\_stagebase\\_%' ESCAPE '\\')",
  );
  for (const { name } of rows) await tx.run(`DROP TABLE "${name}"`);
}

/** The version that requests state: the greatest of the tables'. */
export function schemaVersion(tables: readonly LocalTable[]): number {
  return tables.reduce((version, { schema }) => Math.max(version, schema.version), 1);
}

/**
 * The declared tables by name.
 *
 * @throws {TypeError} Where a name is reserved or taken twice.
 */
export function indexLocalTables(
  tables: readonly LocalTable[],
): ReadonlyMap<string, LocalTable> {
  const names = new Set<string>();
  for (const { name } of tables) {
    if (/^(?:lakesync|sqlite)_/i.test(name)) {
      throw new TypeError(
        `Cannot take table "${name}": names that start with ${INTERNAL_PREFIX} or sqlite_ are reserved, rename it`,
      );
    }
    if (names.has(name.toLowerCase())) {
      throw new TypeError(
        `Cannot take table "${name}" twice (case does not count): leave one out`,
      );
    }
    names.add(name.toLowerCase());
  }
  return new Map(tables.map((table) => [table.name, table]));
}
