import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DuckDBInstance,
  type DuckDBResult,
  type DuckDBType,
  type DuckDBValue,
} from "@duckdb/node-api";
import type { Hlc, LakeFile, LakeReader, ObjectStore, Result } from "@lakesync/core";
import { err, isHlc, LakeSyncError, ok, packHlc, systemRandom } from "@lakesync/core";
import { listRelations, type Relation, tableNames } from "./_catalogue.ts";
import { closed, duckDbError } from "./_errors.ts";
import { FileCopies } from "./_files.ts";
import { MERGE_MACRO } from "./_merge.ts";
import { MOMENT_MACRO } from "./_moments.ts";
import { caught, Session } from "./_session.ts";
import { TieCheck } from "./_ties.ts";
import { prepareRelations } from "./_views.ts";
import { fileLocation } from "./locate.ts";
import type { OwnDeltas } from "./own.ts";
import type { PendingDeltas } from "./pending.ts";
import type { FindState } from "./state.ts";
import {
  bindParam,
  type QueryColumn,
  type QueryParam,
  type QueryRow,
  type QueryValue,
  toQueryValue,
} from "./values.ts";

/** Options of {@linkcode openAnalyst}. */
export interface AnalystOptions {
  /** The lake. */
  readonly lake: LakeReader;
  /**
   * The lake's objects. DuckDB has no extension for remote files here and downloads none, so what a query
   * reads that has no `file:` URL is copied to the system's temporary directory first.
   *
   * @default {undefined} DuckDB opens all files where `locate` says
   */
  readonly store?: ObjectStore;
  /**
   * The most bytes of copies that are kept for further queries.
   *
   * @default {1_073_741_824}
   */
  readonly copyBytes?: number;
  /**
   * Where DuckDB opens a data file that is not copied: a local path.
   *
   * @default {fileLocation}
   */
  readonly locate?: (file: LakeFile) => string;
  /**
   * The deltas that are not in the lake yet; a query sees them beside it, each delta once.
   *
   * @default {undefined} the lake alone
   */
  readonly pending?: PendingDeltas;
  /**
   * What a device has made itself: a query sees it beside the rest, each delta once; `_seq` and
   * `_commit_ts` are NULL where no gateway and no lake at hand has it.
   *
   * @default {undefined} nothing
   */
  readonly own?: OwnDeltas;
  /**
   * Finds tables' current rows, where the lake keeps some: a query of a table's rows then reads them and
   * the newer changes only.
   *
   * @default {undefined} rows are merged from all changes
   */
  readonly findState?: FindState;
  /**
   * The most memory that DuckDB takes before it spills to the system's temporary directory, in its
   * own notation: `"2GB"`.
   *
   * @default {undefined} 80 % of the machine's
   */
  readonly memoryLimit?: string;
  /**
   * How many threads DuckDB works with.
   *
   * @default {undefined} one for each core
   */
  readonly threads?: number;
}

/** Options of {@linkcode Analyst.query} and {@linkcode Analyst.stream}. */
export interface QueryOptions {
  /**
   * Values for `?`, `$1` … (a list) or `$name` (an object). Whole numbers are bound as BIGINT, others
   * as DOUBLE.
   *
   * @default {[]}
   */
  readonly params?: readonly QueryParam[] | { readonly [name: string]: QueryParam };
  /**
   * Show every table as it was at this stamp, with all that was stamped up to it; a `Date` includes
   * its whole millisecond.
   *
   * @default {undefined} now
   */
  readonly asOf?: Hlc | Date;
  /**
   * Read these tables (by the app's names) at these snapshots of the lake, and without what is pending:
   * what a result's `snapshots` said gives the same rows again. A lake remembers so many snapshots;
   * beyond them it is `NOT_FOUND`.
   *
   * @default {new Map()} every table at its newest
   */
  readonly snapshots?: ReadonlyMap<string, bigint>;
  /**
   * Stops the query: `ABORTED`.
   *
   * @default {undefined}
   */
  readonly signal?: AbortSignal;
}

/** All rows of a query. */
export interface QueryResult {
  /** Its columns in their order. */
  readonly columns: readonly QueryColumn[];
  /** Its rows. */
  readonly rows: readonly QueryRow[];
  /** The snapshots of the lake that it read, by the names of the app's tables. */
  readonly snapshots: ReadonlyMap<string, bigint>;
}

/** The rows of a query as they come. */
export interface QueryStream {
  /** Its columns in their order. */
  readonly columns: readonly QueryColumn[];
  /**
   * The rows in chunks of at most 2,048, read once. It throws a `LakeSyncError` where the query
   * fails on its way. Take all of it, or leave its loop: until then it holds a connection.
   */
  readonly chunks: AsyncIterable<readonly QueryRow[]>;
  /** The snapshots of the lake that it reads, by the names of the app's tables. */
  readonly snapshots: ReadonlyMap<string, bigint>;
}

/**
 * Answers SQL (DuckDB's dialect) over a lake. A table `todos` of the app is there under two names:
 *
 * - `todos`: its rows, by the merge rules of the protocol; `id` and the app's columns under the
 *   app's names;
 * - `todos_changes`: its changelog, a row for each delta, with the columns of the lake: `_seq`,
 *   `_op`, `id`, `_hlc`, `_client_id`, `_tx_id`, `_commit_ts`, `_columns` and the app's. (Where the
 *   app itself has a table `todos_changes`, the name stands for that table's rows.)
 *
 * and has three functions, which take a moment as a stamp, a timestamp or a text of either:
 *
 * - `todos_at(moment)`: its rows as they were, with all that was stamped up to then; of a timestamp its
 *   whole millisecond counts;
 * - `todos_between(from, to)`: the rows that differ between two moments: `id`, `_change` (`added`,
 *   `changed` or `removed`), `_columns` (the names of those that differ), `before` and `after`;
 * - `todos_history(id)`: every change of a row in the order of the stamps, with who and when: `_op`,
 *   `_made`, `_commit_ts`, `_client_id`, `_tx_id`, `_hlc`, `_seq`, `_columns` (the names of those that it
 *   carries: a column that is named there and NULL was set to null) and the app's columns.
 *
 * Integers are BIGINT, timestamps TIMESTAMPTZ (the session's zone is UTC), bytes BLOB, and json is
 * its canonical text, which DuckDB's JSON functions and arrows take. A query sees one snapshot of
 * each table. Several statements may stand in one text: the last one's rows are the answer.
 *
 * Whoever may query is trusted with what the process may do: DuckDB's SQL reads and writes files.
 */
export interface Analyst {
  /** The names that SQL can use, sorted. */
  tables(): Promise<Result<readonly string[]>>;
  /**
   * Runs a query and gives all its rows.
   *
   * @returns The rows; `VALIDATION_ERROR` with DuckDB's message where the SQL is wrong (for an unknown
   * table also with the names there are), `STORAGE_ERROR` where a file cannot be read, `ABORTED`,
   * `CLOSED`, and what the lake or the pending deltas failed with.
   */
  query(sql: string, options?: QueryOptions): Promise<Result<QueryResult>>;
  /**
   * Runs a query and gives its rows as they come, in bounded memory.
   *
   * @returns The stream; the same errors as `query` up to the first row.
   */
  stream(sql: string, options?: QueryOptions): Promise<Result<QueryStream>>;
  /** Stops what runs and closes. May be called twice. */
  close(): Promise<void>;
}

/**
 * Opens DuckDB over a lake. Nothing is downloaded: DuckDB's extensions are those that are built in
 * (`parquet`, `json`, `icu`).
 *
 * @param options The lake, and the pending deltas where there are some.
 * @returns The analyst; `VALIDATION_ERROR` where DuckDB refuses an option.
 * @throws {TypeError} Where a query's `asOf` is no stamp or a parameter is an invalid date.
 *
 * @example Ask an empty lake
 * ```ts
 * import { openAnalyst } from "@lakesync/analyst";
 * import { LakeSyncError, err, type LakeReader, ok, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const lake: LakeReader = {
 *   tables: () => Promise.resolve(ok([])),
 *   scan: (table) => Promise.resolve(err(new LakeSyncError("NOT_FOUND", `No table "${table}"`))),
 * };
 * const analyst = unwrapOrThrow(await openAnalyst({ lake }));
 * const answer = unwrapOrThrow(await analyst.query("SELECT $1 + 1 AS n", { params: [41] }));
 * assertEquals(answer.rows, [{ n: 42 }]);
 * await analyst.close();
 * ```
 */
export async function openAnalyst(options: AnalystOptions): Promise<Result<Analyst>> {
  const { memoryLimit, threads } = options;
  try {
    const instance = await DuckDBInstance.create(":memory:", {
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      // DuckDB makes it when it first spills and removes it at its end.
      temp_directory: join(tmpdir(), `lakesync-duckdb-${systemRandom.uuid()}`),
      ...(memoryLimit !== undefined && { memory_limit: memoryLimit }),
      ...(threads !== undefined && { threads: String(threads) }),
    });
    const connection = await instance.connect();
    for (const sql of ["SET GLOBAL TimeZone = 'UTC'", MERGE_MACRO, MOMENT_MACRO]) {
      await connection.run(sql);
    }
    connection.closeSync();
    return ok(new DuckDbAnalyst(instance, options));
  } catch (thrown) {
    return err(duckDbError(thrown));
  }
}

class DuckDbAnalyst implements Analyst {
  readonly #instance: DuckDBInstance;
  readonly #sources: Pick<AnalystOptions, "lake" | "pending" | "own">;
  readonly #findState: FindState | undefined;
  readonly #copies: FileCopies | undefined;
  readonly #locate: (file: LakeFile) => string;
  readonly #ties: TieCheck = new TieCheck();
  readonly #opening: Set<Promise<Session>> = new Set();
  readonly #sessions: Set<Session> = new Set();
  #closed = false;

  constructor(instance: DuckDBInstance, options: AnalystOptions) {
    this.#instance = instance;
    this.#sources = options;
    this.#findState = options.findState;
    this.#locate = options.locate ?? fileLocation;
    const { store, copyBytes = 2 ** 30 } = options;
    this.#copies = store && new FileCopies(store, copyBytes);
  }

  async tables(): Promise<Result<readonly string[]>> {
    if (this.#closed) return err(closed());
    const relations = await listRelations(this.#sources);
    return relations.ok ? ok(tableNames(relations.value)) : relations;
  }

  async query(sql: string, options: QueryOptions = {}): Promise<Result<QueryResult>> {
    const stream = await this.stream(sql, options);
    if (!stream.ok) return stream;
    const rows: QueryRow[] = [];
    try {
      for await (const chunk of stream.value.chunks) {
        for (const row of chunk) rows.push(row);
      }
    } catch (thrown) {
      return err(caught(thrown));
    }
    const { columns, snapshots } = stream.value;
    return ok({ columns, rows, snapshots });
  }

  async stream(sql: string, options: QueryOptions = {}): Promise<Result<QueryStream>> {
    const { params = [], snapshots = new Map(), signal } = options;
    const asOf = options.asOf === undefined ? undefined : toStamp(options.asOf);
    const bound = bindParams(params);
    if (this.#closed) return err(closed());
    const relations = await listRelations(this.#sources);
    if (!relations.ok) return relations;
    let session: Session | undefined;
    try {
      session = await this.#open(signal);
      const source = {
        lake: this.#sources.lake,
        pending: this.#sources.pending,
        own: this.#sources.own,
        copies: this.#copies,
        locate: this.#locate,
        asOf,
        snapshots,
        findState: this.#findState,
        signal,
        ties: this.#ties,
      };
      const read = await prepareRelations(session, {
        sql,
        params,
        relations: relations.value,
        source,
      });
      const result = await session.run((connection) =>
        connection.stream(sql, bound.values, bound.types)
      );
      const columns = resultColumns(result);
      return ok({ columns, chunks: readChunks(session, { result, columns }), snapshots: read });
    } catch (thrown) {
      await session?.close();
      return err(withTables(caught(thrown), relations.value));
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // DuckDB crashes where it closes while it connects.
    await Promise.allSettled([...this.#opening]);
    await Promise.all([...this.#sessions].map((session) => session.close()));
    this.#instance.closeSync();
    await this.#copies?.close();
  }

  async #open(signal: AbortSignal | undefined): Promise<Session> {
    if (this.#closed) throw closed();
    const onClose = (session: Session) => this.#sessions.delete(session);
    const opening = Session.open(this.#instance, { signal, onClose });
    this.#opening.add(opening);
    try {
      const session = await opening;
      this.#sessions.add(session);
      return session;
    } finally {
      this.#opening.delete(opening);
    }
  }
}

function toStamp(asOf: Hlc | Date): Hlc {
  if (asOf instanceof Date) return packHlc({ wallMs: asOf.getTime(), counter: 0xffff });
  if (!isHlc(asOf)) throw new TypeError(`Cannot read as of "${asOf}": it is no stamp`);
  return asOf;
}

interface BoundParams {
  readonly values: DuckDBValue[] | Record<string, DuckDBValue>;
  readonly types: DuckDBType[] | Record<string, DuckDBType>;
}

function bindParams(params: NonNullable<QueryOptions["params"]>): BoundParams {
  if (isList(params)) {
    const bound = params.map(bindParam);
    return { values: bound.map(({ value }) => value), types: bound.map(({ type }) => type) };
  }
  const bound = Object.entries(params).map(([name, param]) => [name, bindParam(param)] as const);
  return {
    values: Object.fromEntries(bound.map(([name, { value }]) => [name, value])),
    types: Object.fromEntries(bound.map(([name, { type }]) => [name, type])),
  };
}

// `Array.isArray` alone does not narrow a readonly list.
function isList(params: NonNullable<QueryOptions["params"]>): params is readonly QueryParam[] {
  return Array.isArray(params);
}

function resultColumns(result: DuckDBResult): readonly QueryColumn[] {
  const types = result.columnTypes();
  const counts = new Map<string, number>();
  return result.columnNames().map((name, i) => {
    const before = counts.get(name) ?? 0;
    counts.set(name, before + 1);
    return { name: before === 0 ? name : `${name}:${before}`, type: String(types[i]) };
  });
}

async function* readChunks(
  session: Session,
  options: { result: DuckDBResult; columns: readonly QueryColumn[] },
): AsyncGenerator<readonly QueryRow[]> {
  const { result, columns } = options;
  try {
    while (true) {
      const chunk = await session.run(() => result.fetchChunk());
      if (chunk === null || chunk.rowCount === 0) return;
      const rows = Array.from(
        { length: chunk.rowCount },
        (): { [column: string]: QueryValue } => Object.create(null),
      );
      for (const [i, { name }] of columns.entries()) {
        const vector = chunk.getColumnVector(i);
        for (const [j, row] of rows.entries()) row[name] = toQueryValue(vector.getItem(j));
      }
      yield rows;
    }
  } finally {
    await session.close();
  }
}

/** Says which tables there are where a query names one that is not. */
function withTables(error: LakeSyncError, relations: ReadonlyMap<string, Relation>): LakeSyncError {
  if (!/Catalog Error: Table with name/.test(error.message)) return error;
  const names = tableNames(relations).join(", ");
  const what = /Table with name (\S+)/.exec(error.message)?.[1];
  return new LakeSyncError(
    error.code,
    `Cannot run the query: there is no table ${what}, ` +
      (names === "" ? "the lake is empty" : `there are ${names}`),
    { cause: error.cause },
  );
}
