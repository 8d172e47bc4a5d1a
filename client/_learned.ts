import {
  type ColumnSchema,
  LakeSyncError,
  type LearnedSchema,
  type PullRequest,
  type SqlTransaction,
} from "@lakesync/core";
import { columnSql, type LocalTable, widerTable } from "./_local_table.ts";
import { showRows } from "./_show.ts";
import type { ClientState, Learned } from "./_state.ts";

/** Rows that are shown anew together. */
const ROWS = 1_000;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** By the declared tables what was made of them last: it is asked for with every page. */
const made: WeakMap<
  ReadonlyMap<string, LocalTable>,
  { readonly text: string; readonly tables: ReadonlyMap<string, LocalTable> }
> = new WeakMap();

/** The declared tables as they are in SQLite: with the columns that were learned. */
export function widened(
  declared: ReadonlyMap<string, LocalTable>,
  { columns }: Learned,
): ReadonlyMap<string, LocalTable> {
  if (columns.length === 0) return declared;
  const text = JSON.stringify(columns);
  const last = made.get(declared);
  if (last?.text === text) return last.tables;
  const more = new Map(columns);
  const tables = new Map(
    [...declared].map(([name, table]) => [name, widerTable(table, more.get(name) ?? [])] as const),
  );
  made.set(declared, { text, tables });
  return tables;
}

/** What a pull states of the schema: what its cursor was got with, and what has been learned. */
export function knownSchema(
  { stated, learned }: ClientState,
): Pick<PullRequest, "schemaVersion" | "schema"> {
  return { schema: learned.tag, ...(stated !== undefined && { schemaVersion: stated }) };
}

/**
 * Takes in what a gateway tells of its tables: the app's tables get the columns that they do not have,
 * with what the base knows of them. What cannot stand beside the app's own columns is left alone.
 *
 * @returns The tables that got some. `state` is changed and has to be written.
 */
export async function learn(
  tx: SqlTransaction,
  state: ClientState,
  { schema, declared }: {
    schema: LearnedSchema;
    declared: ReadonlyMap<string, LocalTable>;
  },
): Promise<readonly string[]> {
  const present = widened(declared, state.learned);
  const columns = new Map(state.learned.columns);
  const news = new Map<string, readonly ColumnSchema[]>();
  for (const told of schema.tables) {
    const table = present.get(told.table);
    if (table === undefined) continue;
    const had = new Set([...table.columns.keys()].map((name) => name.toLowerCase()));
    const more = told.columns.filter(({ name }) => !had.has(name.toLowerCase()));
    if (more.length === 0) continue;
    for (const column of more) await addColumn(tx, table, column);
    news.set(table.name, more);
    columns.set(table.name, [...columns.get(table.name) ?? [], ...more]);
  }
  state.learned = { tag: schema.tag, columns: [...columns] };
  const tables = widened(declared, state.learned);
  for (const [name, more] of news) await fillColumns(tx, tables.get(name)!, more);
  return [...news.keys()];
}

/**
 * Gives a table of a database the columns that a new version of the app declares. One that was learned
 * is there already.
 *
 * @returns What stays learned without being declared.
 */
export async function declareColumns(
  tx: SqlTransaction,
  table: LocalTable,
  { had, learned }: { had: ReadonlySet<string>; learned: readonly ColumnSchema[] },
): Promise<readonly ColumnSchema[]> {
  const known = new Map(learned.map((column) => [column.name.toLowerCase(), column]));
  const added: ColumnSchema[] = [];
  for (const column of table.schema.columns) {
    if (had.has(column.name)) continue;
    const there = known.get(column.name.toLowerCase());
    if (there === undefined) {
      await addColumn(tx, table, column);
      added.push(column);
    } else if (there.name !== column.name || there.type !== column.type) {
      throw new LakeSyncError(
        "CONFLICT",
        `Cannot add "${column.name}" (${column.type}) to table "${table.name}": the gateway has "${there.name}" (${there.type}) there, declare it as the gateway does`,
      );
    } else known.delete(column.name.toLowerCase());
  }
  const rest = [...known.values()];
  await fillColumns(tx, widerTable(table, rest), added);
  return rest;
}

async function addColumn(
  tx: SqlTransaction,
  table: LocalTable,
  column: ColumnSchema,
): Promise<void> {
  await tx.run(`ALTER TABLE ${table.shown.name} ADD COLUMN ${columnSql(column)}`);
}

/** Shows the rows anew of which the base has something in these columns. */
async function fillColumns(
  tx: SqlTransaction,
  table: LocalTable,
  columns: readonly ColumnSchema[],
): Promise<void> {
  if (columns.length === 0) return;
  // In the base's JSON a quote within a text is escaped, so this is found where the column is.
  const has = columns.map(() => "instr(state, ?) > 0").join(" OR ");
  const names = columns.map(({ name }) => `"${name}":`);
  for (let after = 0;;) {
    const rows = await tx.all(
      `SELECT rowid AS at, CAST(id AS BLOB) AS id FROM ${table.base.name} ` +
        `WHERE rowid > ? AND (${has}) ORDER BY rowid LIMIT ${ROWS}`,
      [after, ...names],
    );
    await showRows(tx, table, rows.map(({ id }) => decoder.decode(id as Uint8Array)));
    if (rows.length < ROWS) return;
    after = rows.at(-1)!.at as number;
  }
}
