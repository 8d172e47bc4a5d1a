import { type Catalogue, icebergLake } from "@lakesync/adapter-iceberg";
import { type Analyst, openAnalyst, type QueryRow } from "@lakesync/analyst";
import {
  err,
  isIdentifier,
  type JsonValue,
  LakeSyncError,
  ok,
  type Result,
  type Source,
  type SourceBatch,
  type SourceChange,
  type TableSchema,
  toLakeSyncError,
  unwrapOrThrow,
} from "@lakesync/core";
import { QUERY_TO_WIRE } from "./lake_history.ts";
import { lakeStates } from "./lake_states.ts";

/** Options of {@linkcode icebergSource}. */
export interface IcebergSourceOptions {
  /** Names the source: an identifier. */
  readonly name: string;
  /** The lake. */
  readonly catalogue: Catalogue;
  /** The tables that are read. */
  readonly tables: readonly TableSchema[];
  /**
   * How many rows a batch has at the most.
   *
   * @default {2000}
   */
  readonly batchSize?: number;
}

/** Where a changelog was read up to: changes of later commits have a greater one. */
interface Place {
  /** `_commit_ts` in µs since the Unix epoch. */
  readonly at: string;
  readonly seq: number;
}

/** How far a table is. */
interface TablePlace {
  /** Everything up to here was read; undefined: nothing. */
  readonly from?: Place;
  /** What is being read: rows that changed up to here, of which those up to the key are done. */
  readonly to?: Place;
  readonly after?: string;
}

const DEFAULT_BATCH_SIZE = 2000;

/**
 * A lake of LakeSync as a source: first its rows as they are, then those that commits after that
 * touched. A reading sees one snapshot of a table, costs what was committed since the last one, and
 * goes on within it where it was stopped.
 *
 * Its errors are the lake's, and `VALIDATION_ERROR` for a cursor that is not its own. A table that is
 * not there yet is empty.
 *
 * @param options The lake and its tables.
 * @returns The source.
 * @throws {TypeError} Where the name is no identifier or the batch size no whole number from 1.
 *
 * @example From one lake into a database, in a lakesync.config.ts
 * ```ts
 * import { fileObjectStore } from "@lakesync/adapter-file";
 * import { filesCatalogue } from "@lakesync/adapter-iceberg";
 * import { defineTable, string } from "@lakesync/core";
 * import { defineLake, icebergSource, postgres } from "@lakesync/deploy";
 *
 * const orders = defineTable("orders", { item: string() });
 * export default defineLake({
 *   tables: [orders],
 *   sources: {
 *     old: icebergSource({
 *       name: "old",
 *       catalogue: filesCatalogue(fileObjectStore({ directory: "old-data/lake/default" })),
 *       tables: [orders.schema],
 *     }),
 *   },
 *   destinations: { pg: postgres({ url: "postgres://app@127.0.0.1/shop" }) },
 *   flows: [{ from: "old", to: ["pg"] }],
 * });
 * ```
 */
export function icebergSource(options: IcebergSourceOptions): Source {
  const { name, batchSize = DEFAULT_BATCH_SIZE } = options;
  if (!isIdentifier(name)) throw new TypeError(`Cannot name a source "${name}": no identifier`);
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new TypeError(`Cannot read batches of ${batchSize} rows: not a whole number from 1`);
  }
  return {
    name,
    async *read({ cursor, signal }) {
      try {
        yield* readLake({ ...options, batchSize }, { cursor, signal });
      } catch (thrown) {
        const { code, message } = toLakeSyncError(thrown, "STORAGE_ERROR");
        yield err(
          new LakeSyncError(code, `Cannot read source "${name}": ${message}`, { cause: thrown }),
        );
      }
    },
  };
}

async function* readLake(
  options: IcebergSourceOptions & { readonly batchSize: number },
  from: { cursor: string | undefined; signal: AbortSignal | undefined },
): AsyncGenerator<Result<SourceBatch>> {
  const { catalogue, tables, batchSize } = options;
  const places = parseCursor(from.cursor);
  const analyst = unwrapOrThrow(
    await openAnalyst({
      lake: icebergLake({ catalogue }),
      store: catalogue.store,
      findState: lakeStates(catalogue),
    }),
  );
  try {
    const there = new Set(unwrapOrThrow(await analyst.tables()));
    for (const schema of tables) {
      const { table } = schema;
      if (!there.has(table)) continue;
      const place = places.get(table) ?? {};
      const to = place.to ?? await newest(analyst, table);
      if (to === undefined || isSame(to, place.from)) continue;
      const set = (place: TablePlace) => {
        places.set(table, place);
        return JSON.stringify([...places]);
      };
      let changes: SourceChange[] = [];
      const rows = readRows(analyst, { schema, place: { ...place, to }, signal: from.signal });
      for await (const row of rows) {
        changes.push(changeOf(row, schema));
        if (changes.length < batchSize) continue;
        const after = changes.at(-1)!.rowId;
        yield ok({ changes, cursor: set({ ...place, to, after }) });
        changes = [];
      }
      yield ok({ changes, cursor: set({ from: to }) });
    }
  } finally {
    await analyst.close();
  }
}

const TIME = `CAST(epoch_us("_commit_ts") AS VARCHAR)`;

/** The place of the last change of a table. */
async function newest(analyst: Analyst, table: string): Promise<Place | undefined> {
  const answer = unwrapOrThrow(
    await analyst.query(
      `SELECT ${TIME} AS at, "_seq" AS seq FROM "${table}_changes"
       ORDER BY "_commit_ts" DESC, "_seq" DESC LIMIT 1`,
    ),
  );
  const [row] = answer.rows;
  return row && { at: row["at"] as string, seq: Number(row["seq"]) };
}

/** The rows that changed, in the order of their keys, with `_here` where they are there now. */
async function* readRows(
  analyst: Analyst,
  options: { schema: TableSchema; place: TablePlace; signal: AbortSignal | undefined },
): AsyncGenerator<QueryRow> {
  const { schema: { table }, place: { from, after }, signal } = options;
  const params: (string | number)[] = [after ?? ""];
  let touched = "";
  if (from !== undefined) {
    params.push(Number(from.at), from.seq);
    touched = `"_commit_ts" >= make_timestamptz($2::BIGINT) AND
      ("_commit_ts" > make_timestamptz($2::BIGINT) OR "_seq" > $3) AND`;
  }
  const stream = unwrapOrThrow(
    await analyst.stream(
      from === undefined
        ? `SELECT *, TRUE AS "@here" FROM "${table}" WHERE "id" > $1 ORDER BY "id"`
        : `SELECT r.*, c."id" AS "@key", r."id" IS NOT NULL AS "@here"
           FROM (SELECT DISTINCT "id" FROM "${table}_changes" WHERE ${touched} "id" > $1) c
           LEFT JOIN "${table}" r ON r."id" = c."id" ORDER BY c."id"`,
      { params, ...(signal !== undefined && { signal }) },
    ),
  );
  for await (const chunk of stream.chunks) yield* chunk;
}

function changeOf(row: QueryRow, { table, columns: declared }: TableSchema): SourceChange {
  const rowId = (row["@key"] ?? row["id"]) as string;
  const columns = new Map<string, JsonValue>();
  if (row["@here"] !== true) return { op: "delete", table, rowId, columns };
  for (const { name, type } of declared) {
    const value = row[name] ?? null;
    columns.set(name, value === null ? null : QUERY_TO_WIRE[type](value));
  }
  return { op: "upsert", table, rowId, columns };
}

function isSame(a: Place, b: Place | undefined): boolean {
  return a.at === b?.at && a.seq === b.seq;
}

function parseCursor(cursor: string | undefined): Map<string, TablePlace> {
  const isPlace = (place: unknown): boolean => {
    const { at, seq } = (place ?? {}) as Partial<Place>;
    return typeof at === "string" && /^-?\d{1,18}$/.test(at) && Number.isSafeInteger(seq);
  };
  try {
    const places = new Map(JSON.parse(cursor ?? "[]") as [string, TablePlace][]);
    const ours = [...places].every(([table, { from, to, after }]) =>
      typeof table === "string" && (from === undefined || isPlace(from)) &&
      (to === undefined ? from !== undefined : isPlace(to) && typeof after === "string")
    );
    if (ours) return places;
  } catch {
    // As what is no place.
  }
  throw new LakeSyncError("VALIDATION_ERROR", `The cursor "${cursor}" is not one of its own`);
}
