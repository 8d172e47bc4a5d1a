import { type Hlc, type LakeReader, type LakeScan, LakeSyncError } from "@lakesync/core";
import { type AppTable, namedRelations, type Relation } from "./_catalogue.ts";
import { type ChangesSource, changesSql } from "./_changes.ts";
import type { LakeFiles, OpenFiles, Params } from "./_duckdb.ts";
import { filterOf } from "./_filter.ts";
import { type AppColumn, appColumns, OWN_COLUMNS } from "./_layout.ts";
import { type LoadedDelta, PendingTable } from "./_load.ts";
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
import type { FindState } from "./state.ts";

/** What relations are made from. */
export interface ViewSource {
  readonly lake: LakeReader;
  readonly pending: PendingDeltas | undefined;
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
interface PlannedTable {
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
  const pending = await loadPending(session, { plans, source });
  const scans = [...plans.values()].flatMap(({ scan, state }) => [scan, state?.live, state?.hidden])
    .filter((scan) => scan !== undefined);
  const files = await openFiles(session, { scans, source });
  for (const { table, scan, columns, state } of plans.values()) {
    const changes = {
      columns,
      scan,
      pending: pending.has(table.name) ? pendingName(table) : undefined,
      // What is pending is newer in any case, and of another log its seqs say nothing.
      after: state?.seq,
      asOf: source.asOf,
      files,
    };
    if (source.own !== undefined && changes.pending !== undefined) {
      await dropKnownOwn(session, { table, changes });
    }
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

function pendingName(table: AppTable): string {
  return `${table.name}#pending`;
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
  const { lake, asOf, findState } = source;
  // Only the rows of now are kept as such.
  const ofNow = asOf === undefined && snapshotId === undefined && kinds.every((k) => k === "rows");
  const { name, lakeName } = table;
  const state = ofNow
    ? await planState(findState, { lake, table: { name, lakeName }, changes: scan })
    : undefined;
  return { table, scan, columns: appColumns(scan, table.schema), state };
}

/** Loads the deltas that the planned snapshots do not have; the names of the tables that have some. */
async function loadPending(
  session: Session,
  options: { plans: ReadonlyMap<string, PlannedTable>; source: ViewSource },
): Promise<ReadonlySet<string>> {
  const { plans, source: { pending, own, snapshots, signal } } = options;
  const after = new Map<string, number>();
  for (const { table, scan } of plans.values()) {
    if (snapshots.has(table.name)) continue;
    const { watermark } = scan ?? {};
    // A watermark of another epoch says nothing about this log: all of it is new to the lake.
    after.set(table.name, watermark?.epoch === pending?.epoch ? watermark?.seq ?? 0 : 0);
  }
  const loads = new Map<string, PendingTable>();
  const add = async (entry: LoadedDelta) => {
    const { delta, seq } = entry;
    const from = after.get(delta.table);
    if (from === undefined || (seq !== undefined && seq <= from)) return;
    let load = loads.get(delta.table);
    if (load === undefined) {
      const { table, columns } = plans.get(delta.table)!;
      load = await PendingTable.create(session, { table: pendingName(table), columns });
      loads.set(delta.table, load);
    }
    await load.add(entry);
  };
  const wanted = new Map([...after].filter(([table]) => plans.get(table)!.table.pending));
  const read = pending === undefined || wanted.size === 0
    ? []
    : pending.read(wanted, signal === undefined ? {} : { signal });
  for await (const chunk of read) {
    if (!chunk.ok) throw chunk.error;
    session.check();
    for (const entry of chunk.value) await add(entry);
  }
  for await (const chunk of after.size === 0 ? [] : own?.read() ?? []) {
    if (!chunk.ok) throw chunk.error;
    session.check();
    for (const delta of chunk.value) await add({ seq: undefined, at: undefined, delta });
  }
  session.check();
  for (const load of loads.values()) await load.write();
  return new Set(loads.keys());
}

/** Takes off what a device keeps of its own and the lake or the gateway has. */
async function dropKnownOwn(
  session: Session,
  { table, changes }: { table: AppTable; changes: ChangesSource },
): Promise<void> {
  const all = changesSql({ ...changes, asOf: undefined });
  await session.run((connection) =>
    connection.run(
      `DELETE FROM ${name(pendingName(table))} AS own USING (${all}) AS known
       WHERE own."_seq" IS NULL AND known."_seq" IS NOT NULL AND own."id" = known."id"
         AND own."_hlc" = known."_hlc" AND own."_client_id" = known."_client_id"
         AND own."_op" = known."_op"
         AND own."_columns" IS NOT DISTINCT FROM known."_columns"`,
    )
  );
}
