import type {
  Delta,
  PlacedDelta,
  Prunable,
  SqlResultRow,
  SqlServer,
  SqlStatement,
  SqlWork,
} from "@lakesync/core";
import { deltaTables, inTables, readDeltaRange } from "./_read_deltas.ts";
import { firstNumber, raw, sql } from "./_sql.ts";
import { rowKey } from "./_tables.ts";

/** What of a delta {@linkcode placed} takes. */
const PLACED = "pos, seq, lakesync_deltas.at, delta";

/**
 * Takes deltas out of a SQL database that a `sqlAdapter` keeps them in: for `lifecycleDatabase`. What it
 * does goes by the same lock as inserts.
 *
 * @param server The database, as the adapter has it.
 * @returns What a lifecycle needs of its hot database.
 *
 * @example Over a database that is not there
 * ```ts
 * import { sqlPruning } from "@lakesync/adapter-database";
 * import { postgresServer } from "@lakesync/adapter-postgres";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const server = unwrapOrThrow(await postgresServer({ url: "postgres://nobody@127.0.0.1:1/none" }));
 * const newest = await sqlPruning(server).newestPlace();
 * assertEquals(newest.ok || newest.error.code, "OFFLINE");
 * await server.close();
 * ```
 */
export function sqlPruning(server: SqlServer): Prunable {
  const { dialect } = server;
  const lock = sql`SELECT value FROM lakesync_head WHERE name = ${"pos"} FOR UPDATE`;
  // By the tables too, as the index has these first; where none is known, by the places alone.
  const at = async (work: SqlWork, places: readonly number[]): Promise<SqlStatement> => {
    const tables = await deltaTables(work);
    const placed = dialect.within("pos", { type: "integer", values: places });
    return tables.length === 0 ? placed : sql`${inTables(server, tables)} AND ${placed}`;
  };
  return {
    newestPlace: () =>
      server.transaction(async (work) =>
        firstNumber(
          await work.run(sql`SELECT value FROM lakesync_head WHERE name = ${"pos"}`),
        ) ?? 0
      ),
    deltasAfter: (after, range) =>
      server.transaction(async (work) =>
        (await readDeltaRange(work, { server, columns: PLACED, after, ...range })).map(placed)
      ),
    deltasAt: (places) =>
      server.transaction(async (work) =>
        (await work.run(
          sql`SELECT ${raw(PLACED)} FROM lakesync_deltas
            WHERE ${await at(work, places)} ORDER BY pos`,
        )).map(placed)
      ),
    removeDeltas: (places) =>
      server.transaction(async (work) => {
        await work.run(lock);
        await work.run(sql`DELETE FROM lakesync_deltas WHERE ${await at(work, places)}`);
      }),
    removeRows: (table, { rowIds, after }) =>
      server.transaction(async (work) => {
        // A state that an insert is merging into must not go meanwhile.
        await work.run(lock);
        const key = dialect.column("key");
        const values = rowIds.map((rowId) => key.encode(rowKey(table, rowId))!);
        await work.run(
          sql`DELETE FROM lakesync_rows WHERE ${dialect.within("row_key", { type: "key", values })}
            AND row_key NOT IN
            (SELECT row_key FROM lakesync_deltas WHERE pos > ${after} AND table_name = ${table})`,
        );
      }),
  };
}

function placed([pos, seq, at, delta]: SqlResultRow): PlacedDelta {
  const entry = { seq: Number(seq), at: Number(at), delta: JSON.parse(delta!) as Delta };
  return { place: Number(pos), entry };
}
