import { err, type Hlc, isHlc, LakeSyncError, ok, packHlc, type Result } from "@lakesync/core";
import { listRelations, type Relation, tableNames } from "./_catalogue.ts";
import type { DuckDb, DuckDbResult } from "./_duckdb.ts";
import { closed } from "./_errors.ts";
import { caught, Session } from "./_session.ts";
import { TieCheck } from "./_ties.ts";
import { checkParams } from "./_values.ts";
import { prepareRelations } from "./_views.ts";
import type { Analyst, QueryOptions, QueryResult, QueryStream } from "./analyst.ts";
import type { AnalystSources } from "./sources.ts";
import type { FindState } from "./state.ts";
import type { QueryRow } from "./values.ts";

/** What is read: see the options of those who open an analyst. */
export interface ReadSources extends AnalystSources {
  readonly findState?: FindState;
}

/** An analyst over a DuckDB, which it closes. */
export class DuckDbAnalyst implements Analyst {
  readonly #duckDb: DuckDb;
  readonly #sources: ReadSources;
  readonly #ties: TieCheck = new TieCheck();
  readonly #opening: Set<Promise<Session>> = new Set();
  readonly #sessions: Set<Session> = new Set();
  #closed = false;

  constructor(duckDb: DuckDb, sources: ReadSources) {
    this.#duckDb = duckDb;
    this.#sources = sources;
  }

  async tables(): Promise<Result<readonly string[]>> {
    if (this.#closed) return err(closed());
    const { pulled: from, ...sources } = this.#sources;
    const pulled = await from?.begin();
    if (pulled?.ok === false) return pulled;
    const relations = await listRelations({ ...sources, pulled: pulled?.value });
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
    checkParams(params);
    if (this.#closed) return err(closed());
    const { lake, pending, own, findState } = this.#sources;
    // First of all: it may have the gateway flush.
    const reading = await this.#sources.pulled?.begin(signal === undefined ? {} : { signal });
    if (reading?.ok === false) return reading;
    const pulled = reading?.value;
    const relations = await listRelations({ lake, pending, pulled, own });
    if (!relations.ok) return relations;
    let session: Session | undefined;
    try {
      session = await this.#open(signal);
      const { files } = this.#duckDb;
      const source = {
        ...{ lake, pending, pulled, own, findState, files },
        ...{ asOf, snapshots, signal, ties: this.#ties },
      };
      const read = await prepareRelations(session, {
        sql,
        params,
        relations: relations.value,
        source,
      });
      const result = await session.run((connection) => connection.stream(sql, params));
      const { columns } = result;
      return ok({ columns, chunks: readChunks(session, result), snapshots: read });
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
    await this.#duckDb.close();
  }

  async #open(signal: AbortSignal | undefined): Promise<Session> {
    if (this.#closed) throw closed();
    const onClose = (session: Session) => this.#sessions.delete(session);
    const opening = Session.open(this.#duckDb, { signal, onClose });
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

async function* readChunks(
  session: Session,
  result: DuckDbResult,
): AsyncGenerator<readonly QueryRow[]> {
  try {
    for (;;) {
      const rows = await session.run(() => result.next());
      if (rows.length === 0) return;
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
