import {
  type DatabaseAdapter,
  err,
  isIdentifier,
  isVisible,
  type JsonValue,
  LakeSyncError,
  ok,
  type Result,
  type RowWrite,
  type Source,
  type SourceBatch,
  type SourceChange,
  type TableSchema,
  toLakeSyncError,
  unwrapOrThrow,
} from "@lakesync/core";

/** Options of {@linkcode databaseSource}. */
export interface DatabaseSourceOptions {
  /** Names the source: an identifier. */
  readonly name: string;
  /** Opens the database, when it is first read. */
  readonly open: () => Promise<Result<DatabaseAdapter>>;
  /** The tables that are read. */
  readonly tables: readonly TableSchema[];
  /**
   * How many deltas are read at once.
   *
   * @default {2000}
   */
  readonly batchSize?: number;
}

/** A source over a database that keeps deltas. */
export interface DatabaseSource extends Source {
  /** Ends its connections; a reading after that opens them again. */
  close(): Promise<void>;
}

const DEFAULT_BATCH_SIZE = 2000;

/**
 * Any database that LakeSync keeps deltas in, as a source: the rows that its deltas touched, in the order
 * in which they were inserted, each as it is now. A reading costs what was inserted since the last one;
 * what is inserted late comes late, and a row that was deleted is deleted.
 *
 * Its errors are the database's, and `VALIDATION_ERROR` for a cursor that is not its own.
 *
 * @param options The database and its tables.
 * @returns The source.
 * @throws {TypeError} Where the name is no identifier or the batch size no whole number from 1.
 *
 * @example A database that is not there
 * ```ts
 * import { sqlAdapter } from "@lakesync/adapter-database";
 * import { postgresServer } from "@lakesync/adapter-postgres";
 * import { databaseSource } from "@lakesync/adapter-sources";
 * import { defineTable, ok, string } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const archive = databaseSource({
 *   name: "archive",
 *   open: async () => {
 *     const server = await postgresServer({ url: "postgres://nobody@127.0.0.1:1/archive" });
 *     return server.ok ? ok(sqlAdapter({ server: server.value, name: "archive" })) : server;
 *   },
 *   tables: [defineTable("orders", { item: string() }).schema],
 * });
 * for await (const batch of archive.read({ cursor: undefined })) {
 *   assertEquals(batch.ok || batch.error.code, "OFFLINE");
 * }
 * await archive.close();
 * ```
 */
export function databaseSource(options: DatabaseSourceOptions): DatabaseSource {
  const { name, open, tables, batchSize = DEFAULT_BATCH_SIZE } = options;
  if (!isIdentifier(name)) throw new TypeError(`Cannot name a source "${name}": no identifier`);
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new TypeError(`Cannot read batches of ${batchSize} deltas: not a whole number from 1`);
  }
  const schemas = new Map(tables.map((schema) => [schema.table, schema]));
  let opened: Promise<DatabaseAdapter> | undefined;

  async function* read(
    { cursor: start, signal }: { cursor: string | undefined; signal?: AbortSignal },
  ): AsyncGenerator<Result<SourceBatch>> {
    opened ??= open().then(unwrapOrThrow);
    // Opening is tried again by the next read.
    const adapter = await opened.catch((thrown) => {
      opened = undefined;
      throw thrown;
    });
    const stop = signal === undefined ? {} : { signal };
    for (let cursor = start, more = true; more;) {
      const page = unwrapOrThrow(
        await adapter.queryDeltasSince(cursor, {
          tables: [...schemas.keys()],
          limit: batchSize,
          ...stop,
        }),
      );
      ({ cursor, hasMore: more } = page);
      const touched = new Map<string, Set<string>>();
      for (const { delta: { table, rowId } } of page.entries) {
        if (!touched.has(table)) touched.set(table, new Set());
        touched.get(table)!.add(rowId);
      }
      const changes: SourceChange[] = [];
      for (const [table, rowIds] of touched) {
        const limit = rowIds.size;
        const state = await adapter.getLatestState(table, { rowIds: [...rowIds], limit, ...stop });
        for (const row of unwrapOrThrow(state).rows) {
          changes.push(changeOf(row, schemas.get(table)!));
        }
      }
      if (changes.length > 0) yield ok({ changes, cursor });
    }
  }

  return {
    name,
    async *read(from) {
      try {
        yield* read(from);
      } catch (thrown) {
        yield err(failed(name, toLakeSyncError(thrown, "STORAGE_ERROR")));
      }
    },
    async close() {
      const closing = opened;
      opened = undefined;
      const adapter = await closing?.catch(() => undefined);
      await adapter?.close();
    },
  };
}

/** What a row's state comes to: a row that has no value in a column has none there from now on. */
function changeOf(
  { table, rowId, state }: RowWrite,
  { columns: declared }: TableSchema,
): SourceChange {
  const columns = new Map<string, JsonValue>();
  if (!isVisible(state)) return { op: "delete", table, rowId, columns };
  for (const { name } of declared) columns.set(name, state.columns.get(name)?.[0] ?? null);
  return { op: "upsert", table, rowId, columns };
}

function failed(name: string, error: LakeSyncError): LakeSyncError {
  return new LakeSyncError(error.code, `Cannot read source "${name}": ${error.message}`, {
    cause: error,
    ...(error.details !== undefined && { details: error.details }),
  });
}
