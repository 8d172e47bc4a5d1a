import {
  type Delta,
  type DeltaPage,
  LakeSyncError,
  type LatestStateOptions,
  type QueryDeltasOptions,
  type SqlServer,
  type SqlWork,
  type StatePage,
} from "@lakesync/core";
import { readDeltaRange } from "./_read_deltas.ts";
import { raw, sql } from "./_sql.ts";
import { parseStateText } from "./_state_text.ts";
import { rowKey, rowKeysEnd } from "./_tables.ts";

/** A page of deltas in the order of their places. */
export async function readDeltas(
  work: SqlWork,
  options: { server: SqlServer; after: string | undefined; query: QueryDeltasOptions },
): Promise<DeltaPage> {
  const { server, after, query: { tables, limit } } = options;
  const cursor = after ?? "0";
  if (!/^(0|[1-9][0-9]{0,15})$/.test(cursor)) {
    throw new LakeSyncError(
      "VALIDATION_ERROR",
      `Cannot read deltas after "${cursor}": it is no cursor of this database, begin without one`,
    );
  }
  if (tables?.length === 0) return { entries: [], cursor, hasMore: false };
  const rows = await readDeltaRange(work, {
    server,
    columns: "pos, seq, lakesync_deltas.at, delta",
    after: Number(cursor),
    through: undefined,
    tables,
    limit: limit + 1,
  });
  const page = rows.slice(0, limit);
  return {
    entries: page.map(([, seq, at, delta]) => ({
      seq: Number(seq),
      at: Number(at),
      delta: JSON.parse(delta!) as Delta,
    })),
    cursor: page.at(-1)?.[0] ?? cursor,
    hasMore: rows.length > limit,
  };
}

/** A page of rows in the order of their keys. */
export async function readStates(
  work: SqlWork,
  options: { server: SqlServer; table: string; query: LatestStateOptions },
): Promise<StatePage> {
  const { server: { dialect }, table, query: { rowIds, after, limit = 1_000 } } = options;
  if (rowIds?.length === 0) return { rows: [], next: undefined };
  const key = dialect.column("key");
  const above = key.encode(rowKey(table, after ?? ""))!;
  const ids = rowIds === undefined ? raw("TRUE") : dialect.within("row_key", {
    type: "key",
    values: rowIds.map((id) => key.encode(rowKey(table, id))!),
  });
  const found = await work.run(
    sql`SELECT state FROM lakesync_rows
      WHERE row_key > ${above} AND row_key < ${rowKeysEnd(table)} AND ${ids}
      ORDER BY row_key LIMIT ${raw(String(limit + 1))}`,
  );
  const rows = found.slice(0, limit).map(([text]) => parseStateText(text!, table));
  return { rows, next: found.length > limit ? rows.at(-1)?.rowId : undefined };
}
