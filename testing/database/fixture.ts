import {
  type DatabaseAdapter,
  type Delta,
  type DeltaContent,
  deltaId,
  type FlushBatch,
  type FlushEntry,
  type FlushOutcome,
  type Materialisable,
  type Result,
  type TableSchema,
  unwrapOrThrow,
  type Watermark,
} from "@lakesync/core";

/** An adapter under test. */
export type TestedAdapter = DatabaseAdapter & Materialisable;

/** An empty database that a test owns. */
export interface TestDatabase extends AsyncDisposable {
  /** Opens one more adapter to it; the database closes it. */
  open(): Promise<TestedAdapter>;
  /** All rows of a table, column by column as texts; null stays null. Throws where there is no such table. */
  rows(table: string): Promise<ReadonlyMap<string, string | null>[]>;
  /** Runs SQL as its operator would, with `"` around identifiers. */
  execute(sql: string): Promise<void>;
}

/** What {@linkcode testDatabaseAdapter} tests. */
export interface DatabaseSubject {
  /** Names it in the tests' titles. */
  readonly name: string;
  /** Why this machine cannot run the tests, where it cannot. */
  readonly skip?: string | undefined;
  /** Makes an empty database. */
  create(): Promise<TestDatabase>;
  /** Kills the server with the signal that no process can catch, and starts it again. */
  restart?(): Promise<void>;
}

/** A column of each type. */
export const EVERYTHING: TableSchema = {
  table: "everything",
  version: 1,
  columns: [
    { name: "text", type: "string", nullable: true },
    { name: "num", type: "number", nullable: true },
    { name: "int", type: "integer", nullable: true },
    { name: "flag", type: "boolean", nullable: true },
    { name: "at", type: "timestamp", nullable: true },
    { name: "raw", type: "bytes", nullable: true },
    { name: "doc", type: "json", nullable: true },
    { name: "__proto__", type: "string", nullable: true },
  ],
};

/** What most tests write into. */
export const TODOS: TableSchema = {
  table: "todos",
  version: 1,
  columns: [{ name: "title", type: "string" }, { name: "n", type: "integer", nullable: true }],
};

/** A delta of a test. */
export interface DeltaParts extends Pick<DeltaContent, "op" | "rowId"> {
  readonly table?: string;
  readonly hlc: number;
  readonly clientId?: string;
  readonly columns?: { readonly [name: string]: Delta["columns"][number]["value"] };
}

/** Makes a delta. */
export function deltaOf(parts: DeltaParts): Delta {
  const { op, rowId, table = "todos", hlc, clientId = "a", columns = {} } = parts;
  const content: DeltaContent = {
    op,
    table,
    rowId,
    clientId,
    hlc: String(hlc),
    columns: Object.entries(columns).map(([column, value]) => ({ column, value })),
  };
  return { ...content, deltaId: deltaId(content) };
}

/** Makes an INSERT of a todo. */
export function todo(rowId: string, hlc: number, columns: DeltaParts["columns"] = {}): Delta {
  return deltaOf({ op: "INSERT", rowId, hlc, columns: { title: `Todo ${rowId}`, ...columns } });
}

/** How deltas become a batch. */
export interface BatchParts {
  /** The deltas; they get the seqs after `from`. */
  readonly deltas: readonly Delta[];
  /** Where every table is. */
  readonly from?: number | undefined;
  readonly tables?: readonly TableSchema[];
  readonly epoch?: string;
  /** The deltas of a chunk. */
  readonly chunk?: number;
  readonly signal?: AbortSignal;
}

/** Makes a batch as a flush does. */
export function batchOf(parts: BatchParts): FlushBatch {
  const { deltas, from, tables = [TODOS], epoch = "e", chunk = 1_000, signal } = parts;
  const first = from ?? 0;
  const watermark: Watermark | undefined = from === undefined ? undefined : { epoch, seq: from };
  async function* entries(): AsyncGenerator<readonly FlushEntry[]> {
    for (let i = 0; i < deltas.length; i += chunk) {
      await Promise.resolve();
      yield deltas.slice(i, i + chunk).map((delta, j) => ({
        seq: first + i + j + 1,
        at: 1_700_000_000_000 + i + j,
        delta,
      }));
    }
  }
  return {
    id: `${epoch}-${first}`,
    to: { epoch, seq: first + deltas.length },
    tables: new Map(tables.map((schema) => [schema.table, { schema, from: watermark }])),
    entries: entries(),
    ...(signal !== undefined && { signal }),
  };
}

/** Inserts deltas on top of what is there; throws where that fails. */
export async function insert(
  adapter: DatabaseAdapter,
  deltas: readonly Delta[],
  tables: readonly TableSchema[] = [TODOS],
): Promise<void> {
  const marks = unwrapOrThrow(await adapter.watermarks(tables.map(({ table }) => table)));
  const from = Math.max(-1, ...Array.from(marks.values(), ({ seq }) => seq));
  const batch = batchOf({ deltas, from: from < 0 ? undefined : from, tables });
  const froms = new Map(
    tables.map((schema) => [schema.table, { schema, from: marks.get(schema.table) }]),
  );
  const outcomes = unwrapOrThrow(await adapter.insertDeltas({ ...batch, tables: froms }));
  for (const { table } of deltas) {
    if (outcomes.get(table)?.status !== "committed") {
      throw new Error(`"${table}" is ${JSON.stringify(outcomes.get(table))}`);
    }
  }
}

/** All deltas of a database, read page by page. */
export async function allDeltas(adapter: DatabaseAdapter, limit = 1_000): Promise<FlushEntry[]> {
  const entries: FlushEntry[] = [];
  for (let cursor: string | undefined, more = true; more;) {
    const page = unwrapOrThrow(await adapter.queryDeltasSince(cursor, { limit }));
    entries.push(...page.entries);
    cursor = page.cursor;
    more = page.hasMore;
  }
  return entries;
}

/** The statuses of a batch's tables. */
export function statuses(
  outcomes: Result<ReadonlyMap<string, FlushOutcome>>,
): { [table: string]: string } {
  return Object.fromEntries(
    Array.from(unwrapOrThrow(outcomes), ([table, { status }]) => [table, status]),
  );
}
