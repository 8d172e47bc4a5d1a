import { AsyncDuckDB, type AsyncDuckDBConnection, VoidLogger } from "@duckdb/duckdb-wasm";
import { LakeSyncError } from "@lakesync/core";
import type { RecordBatch } from "apache-arrow";
import { batchRows } from "./_arrow_read_browser.ts";
import { arrowStream } from "./_arrow_write_browser.ts";
import { columnType } from "./_arrow_types_browser.ts";
import {
  type AppendedRows,
  type DuckDb,
  type DuckDbConnection,
  type DuckDbResult,
  type Node,
  type Params,
  uniqueNames,
} from "./_duckdb.ts";
import { executeSql, lastStatement } from "./_prepare.ts";
import { parseSelect } from "./_parse.ts";
import { setUpSql } from "./_set_up.ts";
import { name } from "./_sql.ts";
import { tokenTexts } from "./_tokens.ts";
import type { QueryRow } from "./values.ts";

/** Where DuckDB's own files are. */
export interface WasmDuckDbOptions {
  readonly worker: string | URL;
  readonly wasm: string | URL;
}

/** DuckDB in a worker of this page. */
export interface WasmDuckDb extends Omit<DuckDb, "files"> {
  connect(): Promise<WasmConnection>;
}

/**
 * Starts DuckDB in a worker of this page. It loads no extension: those would come from a server of
 * DuckDB's. Throws what DuckDB throws.
 */
export async function openWasmDuckDb({ worker, wasm }: WasmDuckDbOptions): Promise<WasmDuckDb> {
  // DuckDB itself would wait for ever for a file that is not there.
  await Promise.all([worker, wasm].map(checkServed));
  const db = new AsyncDuckDB(new VoidLogger(), new Worker(worker));
  try {
    await db.instantiate(String(wasm));
    await db.open({});
    const connection = await db.connect();
    for (const sql of [...ALONE, ...setUpSql(JSON_TEXTS)]) await connection.query(sql);
    await connection.close();
  } catch (thrown) {
    await db.terminate();
    throw thrown;
  }
  return {
    connect: async () => new WasmConnection(await db.connect()),
    close: () => db.terminate(),
  };
}

/** Asks for a file, without reading it: its answer may come from a service worker, also offline. */
async function checkServed(file: string | URL): Promise<void> {
  let response;
  try {
    response = await fetch(file);
  } catch (cause) {
    const message = `Cannot start DuckDB: ${file} cannot be reached, try again`;
    throw new LakeSyncError("OFFLINE", message, { cause });
  }
  await response.body?.cancel();
  if (response.ok) return;
  throw new LakeSyncError(
    "NOT_FOUND",
    `Cannot start DuckDB: ${file} is answered with ${response.status}, serve it with the app`,
  );
}

/** Some seconds, as a session tells it each five milliseconds. */
const MOST_TELLS = 400;

const ALONE = ["SET autoinstall_known_extensions = false", "SET autoload_known_extensions = false"];

/** Powers of two of which a cast to VARCHAR gives other digits than theirs. */
const MISWRITTEN: readonly number[] = [2 ** 81, 2 ** 91, 2 ** 807];

/** What `to_json` does, whose extension is not there. */
const JSON_TEXTS = {
  string: (value: string): string => {
    const escapes = [...ESCAPES].map(([code, escape]) => [`chr(${code})`, `'${escape}'`] as const);
    const escaped = escapes.reduce((sql, [from, to]) => `replace(${sql}, ${from}, ${to})`, value);
    return `'"' || ${escaped} || '"'`;
  },
  shortest: (value: string): string => {
    const cases = MISWRITTEN.map((number) => `WHEN '${number}'::DOUBLE THEN '${number}'`);
    return `CASE ${value} ${cases.join(" ")} ELSE (${value})::VARCHAR END`;
  },
};

/** JSON's escapes by code point, the one of the escape character first. */
const ESCAPES: ReadonlyMap<number, string> = new Map(
  ["\\", '"', ...Array.from({ length: 32 }, (_, code) => String.fromCharCode(code))]
    .map((char) => [char.charCodeAt(0), JSON.stringify(char).slice(1, -1)]),
);

/** A connection that also fills tables of all connections. */
export class WasmConnection implements DuckDbConnection {
  readonly #connection: AsyncDuckDBConnection;
  #filled = 0;
  /** How often what runs was told to stop, and what gives up waiting for it. */
  #told = 0;
  #giveUp: ((reason: Error) => void) | undefined;
  #givenUp = false;

  constructor(connection: AsyncDuckDBConnection) {
    this.#connection = connection;
  }

  async run(sql: string): Promise<void> {
    await this.#answer(this.#connection.query(sql));
  }

  async rows(sql: string, params: readonly string[] = []): Promise<readonly QueryRow[]> {
    const { next } = await this.stream(sql, params);
    const rows: QueryRow[] = [];
    for (let chunk = await next(); chunk.length > 0; chunk = await next()) rows.push(...chunk);
    return rows;
  }

  async stream(sql: string, params: Params): Promise<DuckDbResult> {
    const text = await this.#prepared(sql, params);
    const reader = await this.#answer(this.#connection.send(text, true));
    // The schema comes with the first batch.
    const batches = reader[Symbol.asyncIterator]() as AsyncIterator<RecordBatch>;
    const nextBatch = () => this.#answer(batches.next());
    let batch = await nextBatch();
    const { fields } = reader.schema ?? batch.value.schema;
    const names = uniqueNames(fields.map((field: { name: string }) => field.name));
    return {
      columns: names.map((name, i) => ({ name, type: columnType(fields[i]!) })),
      async next() {
        while (batch.done !== true) {
          const rows = batchRows(batch.value, names);
          batch = await nextBatch();
          if (rows.length > 0) return rows;
        }
        return [];
      },
    };
  }

  async append(table: string, rows: AppendedRows): Promise<void> {
    // Arrow goes into a table of all connections.
    const passing = `#append ${this.#connection.useUnsafe((_, id) => id)} ${this.#filled++}`;
    await this.#insert(passing, { rows, create: true });
    await this.run(`INSERT INTO temp.main.${name(table)} SELECT * FROM main.${name(passing)}`);
    await this.run(`DROP TABLE main.${name(passing)}`);
  }

  /** Adds rows to a table of all connections. */
  async fill(table: string, rows: AppendedRows): Promise<void> {
    if (rows.count > 0) await this.#insert(table, { rows, create: false });
  }

  async parse(sql: string): Promise<Node | undefined> {
    const { offsets } = await this.#connection.bindings.tokenize(sql);
    return parseSelect(tokenTexts(sql, offsets));
  }

  /** Where its worker never comes to hear of it, what runs is left alone; the worker's end ends it. */
  interrupt(): void {
    this.#connection.cancelSent().catch(() => {});
    if (++this.#told < MOST_TELLS || this.#giveUp === undefined) return;
    this.#givenUp = true;
    this.#giveUp(new Error("INTERRUPT Error: DuckDB does not stop"));
  }

  async close(): Promise<void> {
    if (!this.#givenUp) await this.#connection.close();
  }

  /** What DuckDB answers, unless it is not waited for any more. */
  async #answer<T>(answer: Promise<T>): Promise<T> {
    const given = Promise.withResolvers<never>();
    this.#told = 0;
    this.#giveUp = given.reject;
    try {
      return await Promise.race([answer, given.promise]);
    } finally {
      this.#giveUp = undefined;
    }
  }

  async #insert(
    table: string,
    { rows, create }: { rows: AppendedRows; create: boolean },
  ): Promise<void> {
    await this.#connection.insertArrowFromIPCStream(arrowStream(rows), { name: table, create });
  }

  /** A text whose last statement has its parameters. */
  async #prepared(sql: string, params: Params): Promise<string> {
    if (Object.keys(params).length === 0) return sql;
    const { offsets } = await this.#connection.bindings.tokenize(sql);
    const { before, last } = lastStatement(sql, offsets);
    if (before !== "") await this.run(before);
    await this.run(`PREPARE "#query" AS ${last}`);
    return executeSql("#query", params);
  }
}
