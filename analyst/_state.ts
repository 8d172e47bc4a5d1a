import type { LakeFile, LakeReader, LakeScan, Result } from "@lakesync/core";
import type { OpenFiles } from "./_duckdb.ts";
import { type AppColumn, DUCKDB_TYPES, lakeColumnName, type OwnColumn } from "./_layout.ts";
import { ALIVE, canonicalText, carries, eachOf } from "./_merge.ts";
import { name, text } from "./_sql.ts";
import type { FindState } from "./state.ts";

/** A table's current rows, and which of its changes are newer. */
export interface PlannedState {
  readonly live: LakeScan;
  readonly hidden: LakeScan | undefined;
  /** The changelog with the files that may have newer changes. */
  readonly newer: LakeScan;
  /** The last seq that is in the rows. */
  readonly seq: number;
}

const STATE_COLUMNS: readonly OwnColumn[] = [
  { name: "id", type: "VARCHAR" },
  { name: "_hlc", type: "BIGINT" },
  { name: "_client_id", type: "VARCHAR" },
  { name: "_stamps", type: "VARCHAR" },
];

/**
 * Plans to read a table's current rows and the newer changes instead of all changes. Undefined where
 * there are no such rows, where a new log has begun since, where it would not pay, and where the rows
 * are stored in a way that is not read here: the changelog has it all. Throws a `LakeSyncError`.
 */
export async function planState(
  find: FindState | undefined,
  { lake, table, changes }: {
    lake: LakeReader;
    table: { readonly name: string; readonly lakeName: string };
    changes: LakeScan;
  },
): Promise<PlannedState | undefined> {
  const place = value(await find?.(table.name));
  if (place === undefined || place.watermark.epoch !== changes.watermark?.epoch) return undefined;
  const folded = value(await lake.scan(table.lakeName, { snapshotId: place.changes }));
  // Where that snapshot is forgotten any file may have newer changes; their seqs tell.
  const known = new Set(folded?.files.map(({ key }) => key));
  const files = changes.files.filter(({ key }) => !known.has(key));
  if (2 * rowsOf(files) > rowsOf(changes.files)) return undefined;
  const live = value(await lake.scan(place.table, { snapshotId: place.live }));
  const hidden = place.hidden === undefined
    ? undefined
    : value(await lake.scan(place.table, { snapshotId: place.hidden }));
  if (live === undefined || (place.hidden !== undefined && hidden === undefined)) return undefined;
  return { live, hidden, newer: { ...changes, files }, seq: place.watermark.seq };
}

/** What was found; undefined where it is not there, or is what is not read here. */
function value<T>(found: Result<T> | undefined): T | undefined {
  if (found === undefined) return undefined;
  if (found.ok) return found.value;
  if (found.error.code === "NOT_FOUND" || found.error.code === "CONFLICT") return undefined;
  throw found.error;
}

function rowsOf(files: readonly LakeFile[]): number {
  return files.reduce((sum, { rows }) => sum + rows, 0);
}

/** What {@linkcode unionSql} reads. */
export interface UnionSource {
  readonly columns: readonly AppColumn[];
  readonly state: PlannedState;
  /** Their files, open. */
  readonly files: OpenFiles;
  /** The table with the rows of those files that are gone; undefined for none. */
  readonly gone: string | undefined;
}

/**
 * The rows of a table: those of its state that no newer change touches as they are, the others merged
 * with the newer changes by the whole rule (PROTOCOL, *Merge*).
 *
 * @param newer A relation with the newer changes, in SQL.
 */
export function unionSql(newer: string, { columns, state, files, gone }: UnionSource): string {
  const { live, hidden } = state;
  const each = eachOf(columns);
  const read = (scan: LakeScan) => scanSql(scan, { columns, files, gone });
  const touched = (scan: LakeScan | undefined, alive: string) =>
    scan === undefined || scan.files.length === 0 ? "" : `UNION ALL
      ${registersSql(`(${read(scan)}) SEMI JOIN ${newer} USING ("id")`, { columns, alive })}`;
  return `
SELECT "id" ${each(({ name: as }) => `${name(stateName(as))} AS ${name(as)}`)}
FROM (${read(live)}) ANTI JOIN ${newer} USING ("id")
UNION ALL
SELECT "id" ${
    each(({ name: as }, i) => `CASE WHEN "#s${i}" >= "#life" THEN "#v${i}" END AS ${name(as)}`)
  }
FROM (
  SELECT "id", arg_max("#alive", ROW("#stamp", NOT "#alive")) FILTER ("#alive" IS NOT NULL) AS "#alive"
    , max("#stamp") FILTER ("#alive" IS NOT NULL) AS "#life"
    ${each((_, i) => `max("#s${i}") AS "#s${i}"`)}
    ${
    each(({ type }, i) =>
      `arg_max_null("#v${i}", ROW("#s${i}", ${canonicalText(type, `"#v${i}"`)})) ` +
      `FILTER ("#s${i}" IS NOT NULL) AS "#v${i}"`
    )
  }
  FROM (
    SELECT "id", ${STAMP} AS "#stamp", ${ALIVE} AS "#alive"
      ${each((column, i) => `CASE WHEN ${carries(column)} THEN ${STAMP} END AS "#s${i}"`)}
      ${each(({ lakeName }, i) => `${name(lakeName)} AS "#v${i}"`)}
    FROM ${newer}
    ${touched(live, "true")}
    ${touched(hidden, `CASE WHEN "_hlc" <> 0 THEN false END`)}
  )
  GROUP BY "id"
)
WHERE "#alive"`;
}

const STAMP = `ROW("_hlc", "_client_id")`;

/** The registers of stored rows. */
function registersSql(
  rows: string,
  { columns, alive }: { columns: readonly AppColumn[]; alive: string },
): string {
  const each = eachOf(columns);
  const stored = (column: AppColumn) =>
    `json_extract_string("_stamps", ${text(`$."${column.name}"`)})`;
  return `SELECT "id", ${STAMP}, ${alive}
      ${
    each((column) =>
      `CASE WHEN ${stored(column)} IS NOT NULL ` +
      `THEN ROW(('0x' || substr(${stored(column)}, 1, 16))::BIGINT, substr(${
        stored(column)
      }, 17)) ` +
      `WHEN ${name(stateName(column.name))} IS NOT NULL THEN ${STAMP} END`
    )
  }
      ${each((column) => name(stateName(column.name)))}
    FROM ${rows}`;
}

/** The stored rows of a snapshot. */
function scanSql(
  scan: LakeScan,
  { columns, files, gone }: Pick<UnionSource, "columns" | "files" | "gone">,
): string {
  const all = [
    ...STATE_COLUMNS,
    ...columns.map(({ name, type }) => ({ name: stateName(name), type: DUCKDB_TYPES[type] })),
  ];
  if (scan.files.length > 0) return files.sql(all, { scan, gone });
  return `SELECT ${
    all.map((column) => `NULL::${column.type} AS ${name(column.name)}`)
  } WHERE false`;
}

/** A column's name in a state table (docs/lake.md). */
function stateName(column: string): string {
  return /^_+stamps$/i.test(column) ? `_${column}` : lakeColumnName(column);
}
