import { type Catalogue, icebergLake } from "@lakesync/adapter-iceberg";
import { type Analyst, openAnalyst, type QueryRow } from "@lakesync/analyst";
import {
  type Clock,
  type DatabaseAdapter,
  type DeltaPage,
  type Destination,
  emptyRow,
  err,
  type FlushBatch,
  type FlushEntry,
  type FlushOutcome,
  LakeSyncError,
  type LatestStateOptions,
  mergeDelta,
  ok,
  type QueryDeltasOptions,
  type Result,
  type RowState,
  type StatePage,
  systemClock,
  type TableSchema,
  toLakeSyncError,
  type Watermark,
} from "@lakesync/core";
import { CHANGES, entryOf, openHistory } from "./lake_history.ts";

/** Options of {@linkcode lakeDatabase}. */
export interface LakeDatabaseOptions {
  /** The lake's tables. */
  readonly catalogue: Catalogue;
  /** What writes to them. */
  readonly destination: Destination;
  /**
   * Tells when deltas come in.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** Behind which change of a table a reader is: when that came in, in µs since 1970, and its seq. */
type Place = readonly [us: string, seq: number];

/**
 * A lake as a `DatabaseAdapter`: for what is written seldom and read as a whole, as a lifecycle's cold
 * database is. Each batch gets a time of its own, later than all before it, in the place of the times
 * that its deltas have: so the changes are in the order in which they came in, whatever their seqs.
 *
 * DuckDB reads it. A page costs a reading of the column that it looks for in the whole table.
 *
 * @param options The lake.
 * @returns The database. Its errors are those of the lake and of DuckDB; closing it leaves the lake be.
 *
 * @example What merges to what in a lake that is empty
 * ```ts
 * import { filesCatalogue, icebergDestination } from "@lakesync/adapter-iceberg";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { lakeDatabase } from "@lakesync/deploy";
 * import { assertEquals } from "@std/assert";
 *
 * const store = memoryObjectStore();
 * const destination = icebergDestination({ store, name: "archive" });
 * const archive = lakeDatabase({ catalogue: filesCatalogue(store), destination });
 * assertEquals(unwrapOrThrow(await archive.getLatestState("orders")).rows, []);
 * await archive.close();
 * ```
 */
export function lakeDatabase(options: LakeDatabaseOptions): DatabaseAdapter {
  return new LakeDatabase(options);
}

class LakeDatabase implements DatabaseAdapter {
  readonly name: string;
  readonly #options: LakeDatabaseOptions;
  readonly #clock: Clock;
  #analyst: Promise<Result<Analyst>> | undefined;

  constructor(options: LakeDatabaseOptions) {
    this.name = options.destination.name;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  ensureSchema(): Promise<Result<void>> {
    // Tables are made by their first commit.
    return Promise.resolve(ok(undefined));
  }

  watermarks(tables: readonly string[]): Promise<Result<ReadonlyMap<string, Watermark>>> {
    return this.#options.destination.watermarks(tables);
  }

  async insertDeltas(batch: FlushBatch): Promise<Result<ReadonlyMap<string, FlushOutcome>>> {
    const newest = await this.#newest([...batch.tables.keys()]);
    if (!newest.ok) return newest;
    const at = Math.max(this.#clock.now(), newest.value + 1);
    async function* stamped(): AsyncGenerator<readonly FlushEntry[]> {
      for await (const entries of batch.entries) yield entries.map((entry) => ({ ...entry, at }));
    }
    return await this.#options.destination.write({ ...batch, entries: stamped() });
  }

  async queryDeltasSince(
    after: string | undefined,
    { tables: wanted, limit }: QueryDeltasOptions,
  ): Promise<Result<DeltaPage>> {
    return await this.#read(async (analyst, schemas) => {
      const places = parseCursor(after);
      const entries: FlushEntry[] = [];
      let hasMore = false;
      for (const schema of schemas.filter(({ table }) => wanted?.includes(table) ?? true)) {
        const [us, seq] = places.get(schema.table) ?? ["-62167219200000000", -1];
        // One more than is given out tells whether there is more.
        const rows = await ask(
          analyst,
          `SELECT *, ${US} AS "@us" FROM "${schema.table}${CHANGES}"
           WHERE "_commit_ts" >= make_timestamptz($1::BIGINT)
             AND ("_commit_ts" > make_timestamptz($1::BIGINT) OR "_seq" > $2)
           ORDER BY "_commit_ts", "_seq" LIMIT $3`,
          [us, seq, limit - entries.length + 1],
        );
        const given = rows.slice(0, limit - entries.length);
        hasMore ||= rows.length > given.length;
        for (const row of given) entries.push(entryOf(row, schema));
        const last = given.at(-1);
        if (last !== undefined) {
          places.set(schema.table, [last["@us"] as string, Number(last["_seq"])]);
        }
      }
      return { entries, cursor: JSON.stringify([...places]), hasMore };
    });
  }

  async getLatestState(
    table: string,
    { rowIds, after, limit = 1_000 }: LatestStateOptions = {},
  ): Promise<Result<StatePage>> {
    return await this.#read(async (analyst, schemas) => {
      const schema = schemas.find((schema) => schema.table === table);
      if (schema === undefined) return { rows: [], next: undefined };
      const changes = `"${table}${CHANGES}"`;
      const conditions: string[] = [];
      const params: string[] = [];
      if (rowIds !== undefined) {
        const places = rowIds.map((id) => `$${params.push(id)}`);
        conditions.push(places.length === 0 ? "FALSE" : `"id" IN (${places.join(", ")})`);
      }
      if (after !== undefined) conditions.push(`"id" > $${params.push(after)}`);
      const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
      const rows = await ask(
        analyst,
        `SELECT * FROM ${changes} WHERE "id" IN
           (SELECT DISTINCT "id" FROM ${changes} ${where} ORDER BY "id" LIMIT ${limit + 1})
         ORDER BY "id"`,
        params,
      );
      const states = new Map<string, RowState>();
      for (const row of rows) {
        const { delta } = entryOf(row, schema);
        if (!states.has(delta.rowId)) states.set(delta.rowId, emptyRow());
        mergeDelta(states.get(delta.rowId)!, delta);
      }
      const page = Array.from(states, ([rowId, state]) => ({ table, rowId, state }));
      const more = page.length > limit;
      if (more) page.pop();
      return { rows: page, next: more ? page.at(-1)!.rowId : undefined };
    });
  }

  async close(): Promise<void> {
    const analyst = await this.#analyst;
    if (analyst?.ok === true) await analyst.value.close();
  }

  /** The time of the newest change of some tables, in ms since 1970. */
  async #newest(tables: readonly string[]): Promise<Result<number>> {
    const lake = icebergLake({ catalogue: this.#options.catalogue });
    let newest = -Infinity;
    for (const table of tables) {
      const scan = await lake.scan(`${table}${CHANGES}`);
      if (!scan.ok && scan.error.code === "NOT_FOUND") continue;
      if (!scan.ok) return scan;
      for (const { committed } of scan.value.files) {
        newest = Math.max(newest, Math.ceil((committed?.max ?? -Infinity) / 1_000));
      }
    }
    return ok(newest);
  }

  /** Reads what is there now. */
  async #read<T>(
    body: (analyst: Analyst, tables: readonly TableSchema[]) => Promise<T>,
  ): Promise<Result<T>> {
    const { catalogue } = this.#options;
    const history = await openHistory(catalogue);
    if (!history.ok) return history;
    const store = catalogue.store;
    this.#analyst ??= openAnalyst({ lake: icebergLake({ catalogue }), store });
    const analyst = await this.#analyst;
    if (!analyst.ok) {
      this.#analyst = undefined;
      return analyst;
    }
    try {
      return ok(await body(analyst.value, history.value.tables));
    } catch (thrown) {
      return err(toLakeSyncError(thrown, "STORAGE_ERROR"));
    }
  }
}

const US = `CAST(epoch_us("_commit_ts") AS VARCHAR)`;

/** All rows of a query; throws what it fails with. */
async function ask(
  analyst: Analyst,
  text: string,
  params: readonly (string | number)[],
): Promise<readonly QueryRow[]> {
  const answer = await analyst.query(text, { params });
  if (!answer.ok) throw answer.error;
  return answer.value.rows;
}

function parseCursor(cursor: string | undefined): Map<string, Place> {
  try {
    const places = new Map(JSON.parse(cursor ?? "[]") as [string, Place][]);
    const ours = [...places].every(([table, [us, seq]]) =>
      typeof table === "string" && /^-?\d{1,18}$/.test(us) && Number.isSafeInteger(seq)
    );
    if (ours) return places;
  } catch {
    // As what is no cursor.
  }
  throw new LakeSyncError(
    "VALIDATION_ERROR",
    `Cannot read deltas after "${cursor}": it is no cursor of this lake, begin without one`,
  );
}
