import type { SqlResultRow, SqlServer, SqlStatement, SqlWork } from "@lakesync/core";
import { firstNumber, raw, sql } from "./_sql.ts";

/** Which deltas are read, and what of them. */
export interface DeltaRange {
  readonly server: SqlServer;
  /** Columns of `lakesync_deltas`. */
  readonly columns: string;
  /** Those behind this place. */
  readonly after: number;
  /** Up to this one; undefined for all. */
  readonly through: number | undefined;
  /** Of these tables; undefined for all. */
  readonly tables: readonly string[] | undefined;
  /** How many at the most. */
  readonly limit: number;
}

/**
 * Deltas in the order of their places. The index has one table behind the other, so they are read by
 * stretches of places, in each of which there are at most as many deltas as places: whatever tables
 * there are, and whatever a database without statistics makes of it, none reads much more than is wanted.
 */
export async function readDeltaRange(work: SqlWork, range: DeltaRange): Promise<SqlResultRow[]> {
  const { server, after, limit } = range;
  // One question is better than several there, and it has no index.
  if (server.insertBatch !== undefined) return [...await work.run(atOnce(range))];
  // In this order: what is there up to that place is in a table that is there then.
  const through = range.through ?? await lastPlace(work);
  const tables = range.tables ?? await deltaTables(work);
  const found: SqlResultRow[] = [];
  if (tables.length === 0) return found;
  let from = after;
  for (let places = limit; from < through && found.length < limit; places *= 2) {
    const to = Math.min(from + places, through);
    const stretch = { ...range, tables, after: from, through: to, limit: limit - found.length };
    found.push(...await work.run(atOnce(stretch)));
    from = to;
  }
  return found;
}

function atOnce({ server, columns, after, through, tables, limit }: DeltaRange): SqlStatement {
  const named = tables === undefined ? raw("TRUE") : inTables(server, tables);
  const last = through === undefined ? raw("") : sql` AND pos <= ${through}`;
  return sql`SELECT ${raw(columns)} FROM lakesync_deltas
    WHERE ${named} AND pos > ${after}${last} ORDER BY pos LIMIT ${raw(String(limit))}`;
}

async function lastPlace(work: SqlWork): Promise<number> {
  return firstNumber(
    await work.run(sql`SELECT value FROM lakesync_head WHERE name = ${"pos"}`),
  ) ?? 0;
}

/** All tables that have deltas. */
export async function deltaTables(work: SqlWork): Promise<string[]> {
  const rows = await work.run(sql`SELECT table_name FROM lakesync_tables`);
  return rows.map(([table]) => table!);
}

/** A condition: a delta is of one of some tables. */
export function inTables({ dialect }: SqlServer, tables: readonly string[]): SqlStatement {
  return dialect.within("table_name", { type: "name", values: tables });
}
