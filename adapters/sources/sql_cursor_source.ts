import {
  err,
  LakeSyncError,
  ok,
  type Result,
  type Source,
  type SourceBatch,
  type SqlDialect,
  type SqlStatement,
  toLakeSyncError,
} from "@lakesync/core";
import { SqlReader, type SqlSourceOptions } from "./_sql_reader.ts";
import { before, later } from "./_sql_value.ts";

/** Options of {@linkcode sqlCursorSource}. */
export interface SqlCursorSourceOptions extends SqlSourceOptions {
  /**
   * The column that grows with every change of a row: a number or the time of the change. With an index
   * on it and the key, a reading costs what is new. Rows in which it is null are not read.
   */
  readonly cursor: string;
  /**
   * How far back a new reading begins, for transactions that were committed late: seconds, or where the
   * column is a number, so much. A transaction that takes longer is missed.
   *
   * @default {undefined} 60 seconds, or 1000
   */
  readonly overlap?: number;
}

/** A source over a database. */
export interface SqlSource extends Source {
  /**
   * Whether it keeps something for each of its readers: then it is not for everybody to read.
   *
   * @default {false}
   */
  readonly stateful?: boolean;
  /** Where a new reading begins that is to find what was committed late, too. */
  resume(cursor: string | undefined): string | undefined;
  /** Ends its connections; a reading after that opens them again. */
  close(): Promise<void>;
}

/** Where a reading is. */
interface Place {
  /** The last row read; without a key, everything from that value on comes next. */
  readonly at: readonly [value: string, key?: string];
  /** The greatest value of any reading. */
  readonly high: string;
}

const OVERLAP_SECONDS = 60;
const OVERLAP_NUMBERS = 1000;

/**
 * Rows of a database that are new or changed, by a column that grows. Rows with the same value are told
 * apart by their key. It does not see deletions: take `sqlDiffSource` for those, or a column in
 * which rows are marked as gone.
 *
 * Its errors are the database's, `SCHEMA_ERROR` for a value that the table cannot have, and
 * `VALIDATION_ERROR` for a cursor that is not its own.
 *
 * @param options The database, what is read, and the column.
 * @returns The source. `resume` tells where a new reading begins.
 * @throws {TypeError} Where a name, the query, the batch size or the overlap is not allowed.
 *
 * @example A database that is not there
 * ```ts
 * import { postgresServer } from "@lakesync/adapter-postgres";
 * import { sqlCursorSource } from "@lakesync/adapter-sources";
 * import { defineTable, string } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const orders = sqlCursorSource({
 *   name: "orders",
 *   open: () => postgresServer({ url: "postgres://nobody@127.0.0.1:1/shop" }),
 *   query: "SELECT * FROM orders",
 *   key: "id",
 *   cursor: "updated_at",
 *   to: defineTable("orders", { item: string() }).schema,
 * });
 * for await (const batch of orders.read({ cursor: undefined })) {
 *   assertEquals(batch.ok || batch.error.code, "OFFLINE");
 * }
 * await orders.close();
 * ```
 */
export function sqlCursorSource(options: SqlCursorSourceOptions): SqlSource {
  const { name, key, cursor: column, overlap } = options;
  if (overlap !== undefined && !(Number.isSafeInteger(overlap) && overlap >= 0)) {
    throw new TypeError(`Cannot look back by ${overlap}: not a whole number from 0`);
  }
  const reader = new SqlReader(options, ({ quote }) => [quote(column)]);

  const where = (place: Place | undefined) => (dialect: SqlDialect): SqlStatement => {
    const [by, id] = [dialect.quote(column), dialect.quote(key)];
    if (place === undefined) return { text: `${by} IS NOT NULL`, parameters: [] };
    const [at, last] = place.at;
    const value = reader.parameter(at, { column, dialect });
    if (last === undefined) return { text: `${by} >= ?`, parameters: [value] };
    return {
      text: `${by} >= ? AND (${by} > ? OR ${id} > ?)`,
      parameters: [value, value, reader.parameter(last, { column: key, dialect })],
    };
  };

  async function* read(
    from: { cursor: string | undefined; signal?: AbortSignal },
  ): AsyncGenerator<Result<SourceBatch>> {
    let place = from.cursor === undefined ? undefined : parsePlace(name, from.cursor);
    const { signal } = from;
    const orderBy = [column, key];
    let next = reader.page({ where: where(place), orderBy, signal });
    for (;;) {
      const rows = await next;
      const last = rows.at(-1);
      if (last === undefined) return;
      const value = last.texts[1]!;
      const high = place === undefined ? value : later(place.high, value);
      place = { at: [value, last.key], high };
      const isLast = rows.length < reader.batchSize;
      if (!isLast) {
        // Read while these are worked on; where nobody asks for it, nobody waits for it.
        next = reader.page({ where: where(place), orderBy, signal });
        next.catch(() => {});
      }
      const changes = rows.map((row) => reader.change(row));
      yield ok({ changes, cursor: JSON.stringify(place) });
      if (isLast) return;
    }
  }

  return {
    name,
    async *read(from) {
      try {
        yield* read(from);
      } catch (thrown) {
        yield err(toLakeSyncError(thrown, "STORAGE_ERROR"));
      }
    },
    resume(cursor) {
      if (cursor === undefined) return undefined;
      const { high } = parsePlace(name, cursor);
      const distance = overlap ?? (/^-?\d+$/.test(high) ? OVERLAP_NUMBERS : OVERLAP_SECONDS);
      const low = distance === 0 ? undefined : before(high, distance);
      return low === undefined ? cursor : JSON.stringify({ at: [low], high } satisfies Place);
    },
    close: () => reader.close(),
  };
}

function parsePlace(name: string, cursor: string): Place {
  try {
    const { at, high } = JSON.parse(cursor) as Partial<Place>;
    const isPlace = Array.isArray(at) && (at.length === 1 || at.length === 2) &&
      at.every((part) => typeof part === "string") && typeof high === "string";
    if (isPlace) return { at: at as unknown as Place["at"], high };
  } catch {
    // As what is no place.
  }
  throw new LakeSyncError(
    "VALIDATION_ERROR",
    `Cannot read source "${name}" from cursor "${cursor}": it is not one of its own`,
  );
}
