import {
  type Delta,
  err,
  LakeSyncError,
  ok,
  type Result,
  type SqlDatabase,
  type TableSchema,
} from "@lakesync/core";

/** The deltas that a device has made and still keeps, whether a gateway has taken them or not. */
export interface OwnDeltas {
  /** The schemas that the device has. */
  schemas(): Promise<Result<readonly TableSchema[]>>;
  /** The deltas in the order of making, in bounded chunks. After a failure it ends. */
  read(): AsyncIterable<Result<readonly Delta[]>>;
}

const CHUNK_DELTAS = 2000;

/**
 * A device's own deltas, from the SQLite database of its client: those that are on their way and those
 * that it keeps for its retention time.
 *
 * @param database The database, or the client: what runs a reading query on it.
 * @returns Its deltas; `VALIDATION_ERROR` where it is no client's database.
 *
 * @example A device that has not made anything
 * ```ts
 * import { ownFromSqlite } from "@lakesync/analyst";
 * import { ok, type SqlDatabase } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * async function ownCount(database: Pick<SqlDatabase, "query">): Promise<number> {
 *   let count = 0;
 *   for await (const chunk of ownFromSqlite(database).read()) {
 *     if (chunk.ok) count += chunk.value.length;
 *   }
 *   return count;
 * }
 *
 * assertEquals(await ownCount({ query: () => Promise.resolve(ok([])) }), 0);
 * ```
 */
export function ownFromSqlite(database: Pick<SqlDatabase, "query">): OwnDeltas {
  return {
    async schemas() {
      const rows = await database.query("SELECT schemas FROM lakesync_state");
      if (!rows.ok) return rows;
      const text = rows.value[0]?.["schemas"];
      if (typeof text === "string") return ok(JSON.parse(text) as TableSchema[]);
      return err(new LakeSyncError("CORRUPT", "The client's database does not say its schemas"));
    },
    async *read() {
      for (let after = 0;;) {
        const rows = await database.query(
          `SELECT ord, json FROM lakesync_own WHERE ord > ? ORDER BY ord LIMIT ${CHUNK_DELTAS}`,
          [after],
        );
        if (!rows.ok) return yield rows;
        const last = rows.value.at(-1);
        if (last === undefined) return;
        after = Number(last["ord"]);
        yield ok(rows.value.map(({ json }) => JSON.parse(String(json)) as Delta));
      }
    },
  };
}
