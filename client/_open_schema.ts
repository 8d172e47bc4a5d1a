import {
  checkEvolution,
  LakeSyncError,
  type Random,
  type Result,
  type SqlDatabase,
  type SqlTransaction,
} from "@lakesync/core";
import { declareColumns } from "./_learned.ts";
import { declareIndexes } from "./_local_indexes.ts";
import { INTERNAL_PREFIX, type LocalTable, quote } from "./_local_table.ts";
import { OWN_SQL, REJECTED_SQL } from "./_own.ts";
import { pruneOwn } from "./_settle.ts";
import { upgradeOwn } from "./_upgrade_own.ts";
import { type ClientState, type Learned, MORE_STATE_SQL, readState, STATE_SQL } from "./_state.ts";

/** The layout of the client's own tables. */
const FORMAT = 2;

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
    if (format === 1) await upgradeOwn(tx, FORMAT);
    else if (format !== FORMAT) {
      throw new LakeSyncError(
        "CORRUPT",
        `Cannot read a database of format ${format}: this client knows format ${FORMAT}, update @lakesync/client`,
      );
    }
    await makeMoreState(tx);
    const state = await readState(tx);
    if (options.clientId !== undefined && options.clientId !== state.clientId) {
      throw new LakeSyncError(
        "CONFLICT",
        `Cannot open as client "${options.clientId}": this database is "${state.clientId}" and stays so, use another file`,
      );
    }
    const changed = await evolve(tx, state, options.tables);
    await declareIndexes(tx, options.tables);
    await dropStage(tx);
    await pruneOwn(tx, { before: options.settledBefore });
    return changed ? await readState(tx) : state;
  });
}

async function makeTables(tx: SqlTransaction, options: OpenSchemaOptions): Promise<void> {
  for (const sql of [...STATE_SQL, ...OWN_SQL, ...REJECTED_SQL]) await tx.run(sql);
  await tx.run(
    `INSERT INTO lakesync_state (one, format, client_id, schemas, cursor, seq, offset_ms, due)
     VALUES (1, ?, ?, '[]', '', 0, 0, 0)`,
    [FORMAT, JSON.stringify(options.clientId ?? options.random.uuid())],
  );
}

/** Brings a database of an earlier version of the client up to date. */
async function makeMoreState(tx: SqlTransaction): Promise<void> {
  const columns = await tx.all("PRAGMA table_info(lakesync_state)");
  if (columns.some(({ name }) => name === "learned")) return;
  for (const sql of MORE_STATE_SQL) await tx.run(sql);
  // Its base lacks what was not declared: only a checkpoint brings that.
  await tx.run("UPDATE lakesync_state SET due = max(due, cursor <> '')");
}

/** Adds what the declared tables have more than the stored ones; whether anything changed. */
async function evolve(
  tx: SqlTransaction,
  { schemas: stored, learned }: ClientState,
  tables: readonly LocalTable[],
): Promise<boolean> {
  const schemas = tables.map(({ schema }) => schema);
  if (JSON.stringify(stored) === JSON.stringify(schemas)) return false;
  const allowed = checkEvolution(stored, schemas);
  if (!allowed.ok) throw allowed.error;
  const old = new Map(stored.map((schema) => [schema.table, schema]));
  const more = new Map(learned.columns);
  let added = false;
  for (const table of tables) {
    const before = old.get(table.name);
    if (before === undefined) {
      await tx.run(table.shown.create);
      await tx.run(table.base.create);
      added = true;
      continue;
    }
    const had = new Set(before.columns.map(({ name }) => name));
    const rest = await declareColumns(tx, table, { had, learned: more.get(table.name) ?? [] });
    if (rest.length > 0) more.set(table.name, rest);
    else more.delete(table.name);
  }
  const left: Learned = { ...learned, columns: [...more] };
  // Pages did not ask for a new table: only a checkpoint brings its rows.
  await tx.run(
    "UPDATE lakesync_state SET schemas = ?, learned = ?, due = max(due, ? AND cursor <> '')",
    [JSON.stringify(schemas), JSON.stringify(left), added ? 1 : 0],
  );
  return true;
}

/** Drops all that the client has made: the tables of the app and its own. */
export async function emptyDatabase(
  tx: SqlTransaction,
  tables: ReadonlyMap<string, LocalTable>,
): Promise<void> {
  const own = await tx.all(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'lakesync\\_%' ESCAPE '\\'",
  );
  await tx.run("DROP VIEW lakesync_own");
  for (const name of [...tables.keys(), ...own.map(({ name }) => name as string)]) {
    await tx.run(`DROP TABLE ${quote(name)}`);
  }
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
