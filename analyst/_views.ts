import { type Hlc, type LakeReader, type LakeScan, LakeSyncError } from "@lakesync/core";
import { type AppTable, namedRelations, type Relation } from "./_catalogue.ts";
import { changesSql } from "./_changes.ts";
import type { LakeFiles, OpenFiles, Params } from "./_duckdb.ts";
import { filterOf } from "./_filter.ts";
import { type AppColumn, appColumns, OWN_COLUMNS } from "./_layout.ts";
import { FreshChanges } from "./_fresh.ts";
import { rowsSql } from "./_merge.ts";
import {
  historySql,
  type MergeOptions,
  PARAMETERS,
  rowsAtSql,
  rowsBetweenSql,
} from "./_moments.ts";
import { mayMatch } from "./_prune.ts";
import type { Session } from "./_session.ts";
import { name } from "./_sql.ts";
import { loadGone } from "./_gone.ts";
import { type PlannedState, planState, unionSql } from "./_state.ts";
import type { TieCheck } from "./_ties.ts";
import type { OwnDeltas } from "./own.ts";
import type { PendingDeltas } from "./pending.ts";
import type { PulledReading } from "./pulled.ts";
import type { FindState } from "./state.ts";

/** What relations are made from. */
export interface ViewSource {
  readonly lake: LakeReader;
  readonly pending: PendingDeltas | undefined;
  /** What a gateway's pulls tell. */
  readonly pulled: PulledReading | undefined;
  /** A device's own deltas. */
  readonly own: OwnDeltas | undefined;
  readonly files: LakeFiles;
  readonly asOf: Hlc | undefined;
  /** Tables that are read at a snapshot, by the app's names. */
  readonly snapshots: ReadonlyMap<string, bigint>;
  /** Finds tables' current rows. */
  readonly findState: FindState | undefined;
  readonly signal: AbortSignal | undefined;
  readonly ties: TieCheck;
}

/** A table at the snapshot that a query sees. */
export interface PlannedTable {
  readonly table: AppTable;
  /** Its changes, as far as they are read; undefined where the lake has none. */
  readonly scan: LakeScan | undefined;
  readonly columns: readonly AppColumn[];
  /** Its current rows, where those are read and only newer changes on top of them. */
  readonly state: PlannedState | undefined;
}

/**
 * Makes the relations that a text of SQL names, as TEMP views and macros of a session. Gives the
 * snapshots that they are of. Throws a `LakeSyncError`.
 *
 * First the lake's snapshots are fixed, then the log is read above their watermarks: what is flushed
 * in between is in the log still, and nothing is read twice.
 */
export async function prepareRelations(
  session: Session,
  options: {
    sql: string;
    params: Params;
    relations: ReadonlyMap<string, Relation>;
    source: ViewSource;
  },
): Promise<ReadonlyMap<string, bigint>> {
  const { sql, params, relations, source } = options;
  const named = namedRelations(sql, relations);
  const [relation, ...others] = named;
  const filter = relation === undefined || others.length > 0
    ? undefined
    : await filterOf(session, { sql, params, relation });
  const plans = new Map<string, PlannedTable>();
  for (const { table } of named) {
    if (plans.has(table.name)) continue;
    const kinds = named.filter((one) => one.table === table).map(({ kind }) => kind);
    const { scan, state, ...plan } = await planTable(table, { kinds, source });
    const part = <T extends LakeScan | undefined>(scan: T) =>
      scan && { ...scan, files: mayMatch(scan.files, { asOf: source.asOf, filter }) };
    plans.set(table.name, {
      ...plan,
      scan: part(state?.newer ?? scan),
      state: state && { ...state, live: part(state.live)!, hidden: part(state.hidden) },
    });
  }
  const fresh = await FreshChanges.load(session, { plans, source });
  const scans = [...plans.values()].flatMap(({ scan, state }) => [scan, state?.live, state?.hidden])
    .filter((scan) => scan !== undefined);
  const files = await openFiles(session, { scans, source });
  for (const { table, scan, columns, state } of plans.values()) {
    const changes = {
      columns,
      scan,
      pending: fresh.tableOf(table.name),
      // What is pending is newer in any case, and of another log its seqs say nothing.
      after: state?.seq,
      asOf: source.asOf,
      files,
    };
    await fresh.settle(session, { table: table.name, changes });
    await createView(session, { view: changesName(table), sql: changesSql(changes) });
    const log = name(changesName(table));
    if (state !== undefined) {
      const kept = [...state.live.files, ...state.hidden?.files ?? []];
      const gone = goneName(table);
      const some = await loadGone(session, {
        table: gone,
        files: kept,
        open: files,
        signal: source.signal,
      });
      const sql = unionSql(log, { columns, state, files, gone: some ? gone : undefined });
      await createView(session, { view: table.name, sql });
      continue;
    }
    const merged = async () => {
      const ties = await source.ties.check(session, { table: table.name, source: changes });
      return { columns, ties };
    };
    for (const { name: relation, kind } of named.filter((one) => one.table === table)) {
      const create = RELATIONS[kind];
      const sql = kind === "changes" || kind === "history"
        ? create(log, { columns, ties: false })
        : create(log, await merged());
      await session.run((connection) => connection.run(createSql(relation, { kind, sql })));
    }
  }
  return new Map(
    [...plans].flatMap(([table, { scan }]) =>
      scan?.snapshotId === undefined ? [] : [[table, scan.snapshotId] as const]
    ),
  );
}

/** Makes data files readable for a session. */
async function openFiles(
  session: Session,
  { scans, source }: { scans: readonly LakeScan[]; source: ViewSource },
): Promise<OpenFiles> {
  const files = await source.files.open(scans, { signal: source.signal });
  session.defer(files.release);
  session.check();
  return files;
}

/** What each kind of relation selects from a changelog. */
const RELATIONS: Readonly<
  Record<Relation["kind"], (changes: string, options: MergeOptions) => string>
> = {
  rows: rowsSql,
  changes: (changes) => `SELECT * FROM ${changes}`,
  at: rowsAtSql,
  between: rowsBetweenSql,
  history: historySql,
};

/** The statement that makes a view, or a macro of what takes arguments. */
function createSql(relation: string, options: { kind: Relation["kind"]; sql: string }): string {
  const { kind, sql } = options;
  return kind === "rows" || kind === "changes"
    ? `CREATE TEMP VIEW ${name(relation)} AS ${sql}`
    : `CREATE TEMP MACRO ${name(relation)}(${PARAMETERS[kind].map(name)}) AS TABLE ${sql}`;
}

/** `#` is no letter of an identifier, so these hide nobody's table. */
function changesName(table: AppTable): string {
  return `${table.name}#changes`;
}

function goneName(table: AppTable): string {
  return `${table.name}#gone`;
}

async function createView(
  session: Session,
  { view, sql }: { view: string; sql: string },
): Promise<void> {
  await session.run((connection) => connection.run(`CREATE TEMP VIEW ${name(view)} AS ${sql}`));
}

async function planTable(
  table: AppTable,
  { kinds, source }: { kinds: readonly Relation["kind"][]; source: ViewSource },
): Promise<PlannedTable> {
  const snapshotId = source.snapshots.get(table.name);
  if (table.lakeName === undefined) {
    const columns = appColumns(undefined, table.schema);
    return { table, scan: undefined, columns, state: undefined };
  }
  const scanned = await source.lake.scan(
    table.lakeName,
    snapshotId === undefined ? {} : { snapshotId },
  );
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
  const { lake, asOf, findState, pulled } = source;
  // Only the rows of now are kept as such. What was deleted since they do not tell.
  const ofNow = asOf === undefined && snapshotId === undefined && pulled === undefined &&
    kinds.every((k) => k === "rows");
  const { name, lakeName } = table;
  const state = ofNow
    ? await planState(findState, { lake, table: { name, lakeName }, changes: scan })
    : undefined;
  return { table, scan, columns: appColumns(scan, table.schema), state };
}
