import {
  BIGINT,
  BOOLEAN,
  DOUBLE,
  type DuckDBConnection,
  DuckDBInstance,
  type DuckDBType,
  type DuckDBValue,
  LIST,
  listValue,
  VARCHAR,
} from "@duckdb/node-api";
import { ApiFault, invalidQuery } from "./fault.ts";
import { MACROS, quote } from "./translate.ts";

/** A column as the API describes it. */
export interface Field {
  readonly name: string;
  readonly type: string;
  readonly mode: "NULLABLE" | "REQUIRED";
}

/** A table's description. */
export interface Table {
  fields: Field[];
  /** How often it was changed by UPDATE, DELETE or MERGE. */
  version: number;
  /** The transaction that has changed it and is not over. */
  holder: Session | undefined;
  /** How often it was loaded into. */
  loads: number;
}

/** A query parameter. */
export interface Parameter {
  readonly type: "STRING" | "INT64" | "FLOAT64" | "BOOL" | "ARRAY<STRING>";
  readonly value: string | null | readonly string[];
}

/** Rows with their types. */
export interface Rows {
  readonly names: readonly string[];
  /** DuckDB's types. */
  readonly types: readonly string[];
  readonly rows: readonly (readonly DuckDBValue[])[];
}

/** Columns may not begin so: https://cloud.google.com/bigquery/docs/schemas#column_names */
const RESERVED_COLUMN =
  /^(_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER|_CHANGE_)/i;

/** A dataset's tables in a DuckDB, and who may change them. */
export class Engine {
  readonly tables: Map<string, Table> = new Map();
  readonly #instance: DuckDBInstance;
  readonly #sessions: Set<Session> = new Set();
  #making: Promise<unknown> = Promise.resolve();
  #idle: (() => void) | undefined;

  constructor(instance: DuckDBInstance) {
    this.#instance = instance;
  }

  /** An empty dataset. */
  static async create(): Promise<Engine> {
    const engine = new Engine(await DuckDBInstance.create(":memory:"));
    for (const macro of MACROS) await engine.run(`CREATE MACRO ${macro}`);
    return engine;
  }

  /** A connection of its own. */
  async connect(): Promise<Session> {
    const connection = await this.#instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    const session = new Session(this, connection);
    this.#sessions.add(session);
    return session;
  }

  /** Runs a statement of DuckDB's on a connection of its own. */
  async run(sql: string): Promise<void> {
    const session = await this.connect();
    try {
      await session.run(sql, new Map());
    } finally {
      await session.close();
    }
  }

  /** Notes that a session is over. */
  ended(session: Session): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#idle?.();
  }

  /** A table; `notFound` where there is none. */
  table(name: string): Table {
    const table = this.tables.get(name);
    if (table === undefined) {
      throw new ApiFault(404, "notFound", `Not found: Table ${name} was not found`);
    }
    return table;
  }

  /** Runs what makes tables, one after the other. */
  async alone<T>(body: () => Promise<T>): Promise<T> {
    const run = this.#making.then(body);
    this.#making = run.catch(() => {});
    return await run;
  }

  /** Notes a table. */
  add(name: string, fields: readonly Field[]): void {
    this.tables.set(name, { fields: [...fields], version: 0, holder: undefined, loads: 0 });
  }

  /** Throws where a table may not be called so, or have these columns. */
  check(name: string, fields: readonly Field[]): void {
    if (!/^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd}\p{Zs}]{1,1024}$/u.test(name)) {
      throw new ApiFault(400, "invalid", `Invalid table ID "${name}"`);
    }
    if (this.tables.has(name)) {
      throw new ApiFault(409, "duplicate", `Already Exists: Table ${name}`);
    }
    const seen = new Set<string>();
    for (const field of fields) {
      checkColumn(field.name);
      const lower = field.name.toLowerCase();
      if (seen.has(lower)) throw invalidQuery(`Duplicate column name ${field.name}`);
      seen.add(lower);
    }
  }

  /** Ends it after what runs: DuckDB would bring the process down if it were taken from under a query. */
  async close(): Promise<void> {
    if (this.#sessions.size > 0) await new Promise<void>((resolve) => this.#idle = resolve);
    this.#instance.closeSync();
  }
}

/** Throws where a column may not be called so. */
export function checkColumn(name: string): void {
  if (!/^[\p{L}_][\p{L}\p{M}\p{N}_]{0,299}$/u.test(name) || RESERVED_COLUMN.test(name)) {
    throw new ApiFault(400, "invalid", `Invalid field name "${name}". Fields must not be reserved`);
  }
}

/** What a query has while it runs: a connection, and perhaps a transaction. */
export class Session {
  readonly engine: Engine;
  readonly connection: DuckDBConnection;
  #versions: Map<string, number> | undefined;
  readonly #changed: Set<string> = new Set();

  constructor(engine: Engine, connection: DuckDBConnection) {
    this.engine = engine;
    this.connection = connection;
  }

  /** Whether a transaction is under way. */
  get within(): boolean {
    return this.#versions !== undefined;
  }

  async begin(): Promise<void> {
    if (this.within) throw invalidQuery("Transaction is already in progress");
    this.#versions = new Map(
      Array.from(this.engine.tables, ([name, { version }]) => [name, version]),
    );
    await this.connection.run("BEGIN TRANSACTION");
    // DuckDB takes its snapshot with the first statement.
    await this.connection.run("SELECT COUNT(*) FROM duckdb_tables()");
  }

  async commit(): Promise<void> {
    if (!this.within) throw invalidQuery("No active transaction to commit");
    await this.connection.run("COMMIT");
    for (const name of this.#changed) {
      const table = this.engine.tables.get(name);
      if (table !== undefined) table.version++;
    }
    this.#over();
  }

  /** Rolls back what is under way, and ends the connection. */
  async close(): Promise<void> {
    if (this.within) await this.connection.run("ROLLBACK").catch(() => {});
    this.#over();
    this.connection.closeSync();
    this.engine.ended(this);
  }

  /**
   * Makes sure that nobody else changes rows of a table: UPDATE, DELETE and MERGE of two transactions
   * conflict table by table, and the later one is aborted; outside of one they wait.
   */
  async change(name: string, body: () => Promise<void>): Promise<void> {
    const table = this.engine.table(name);
    if (this.#versions !== undefined) {
      const overtaken = table.version !== this.#versions.get(name);
      if (overtaken || table.holder !== undefined && table.holder !== this) {
        throw invalidQuery(
          `Transaction is aborted due to concurrent update against table ${name}. Transaction ID: 1`,
        );
      }
      table.holder = this;
      this.#changed.add(name);
      return await body();
    }
    while (table.holder !== undefined) await new Promise((resolve) => setImmediate(resolve));
    table.holder = this;
    try {
      await body();
      table.version++;
    } finally {
      table.holder = undefined;
    }
  }

  /** Runs a statement of DuckDB's. */
  async run(sql: string, parameters: ReadonlyMap<string, Parameter>): Promise<Rows> {
    try {
      const prepared = await this.connection.prepare(sql);
      const values: Record<string, DuckDBValue> = {};
      const types: Record<string, DuckDBType> = {};
      for (let i = 1; i <= prepared.parameterCount; i++) {
        const name = prepared.parameterName(i);
        const parameter = parameters.get(name);
        if (parameter === undefined) throw invalidQuery(`Query parameter '${name}' not found`);
        [values[name], types[name]] = bound(parameter);
      }
      if (prepared.parameterCount > 0) prepared.bind(values, types);
      const result = await prepared.runAndReadAll();
      const rows = result.getRows();
      // DuckDB sums up to more than an INT64 holds.
      if (rows.some((row) => row.some(isTooLarge))) throw invalidQuery("Int64 overflow");
      return {
        names: result.columnNames(),
        types: result.columnTypes().map((type) => type.alias ?? String(type)),
        rows,
      };
    } catch (thrown) {
      throw thrown instanceof ApiFault ? thrown : duckFault(thrown);
    }
  }

  #over(): void {
    for (const name of this.#changed) {
      const table = this.engine.tables.get(name);
      if (table?.holder === this) table.holder = undefined;
    }
    this.#changed.clear();
    this.#versions = undefined;
  }
}

function isTooLarge(value: DuckDBValue): boolean {
  return typeof value === "bigint" && BigInt.asIntN(64, value) !== value;
}

function bound({ type, value }: Parameter): [DuckDBValue, DuckDBType] {
  switch (type) {
    case "STRING":
      return [value as string | null, VARCHAR];
    case "INT64":
      return [value === null ? null : BigInt(value as string), BIGINT];
    case "FLOAT64":
      return [value === null ? null : Number(value), DOUBLE];
    case "BOOL":
      return [value === null ? null : value === "true", BOOLEAN];
    case "ARRAY<STRING>":
      return [listValue(value as readonly string[]), LIST(VARCHAR)];
  }
}

function duckFault(thrown: unknown): ApiFault {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const required = /NOT NULL constraint failed: \w+\.(\w+)/.exec(message);
  if (required !== null) return invalidQuery(`Required field ${required[1]} cannot be null`);
  const table = /Table with name (\S+) does not exist/.exec(message);
  if (table !== null) {
    return new ApiFault(
      404,
      "notFound",
      `Not found: Table ${table[1]} was not found in location US`,
    );
  }
  const call = /^Binder Error: No function matches .*? argument types '\w+\(([^)]*)\)'/.exec(
    message,
  );
  if (call !== null) return invalidQuery(`No matching signature for function of: ${call[1]}`);
  const column = /Referenced column "([^"]+)" not found/.exec(message);
  if (column !== null) return invalidQuery(`Unrecognized name: ${column[1]}`);
  return invalidQuery(message);
}

/** The columns of a table as DuckDB makes them. */
export function columnsText(
  fields: readonly Field[],
  duck: (type: string) => string,
): string {
  return fields.map(({ name, type, mode }) =>
    `${quote(name)} ${duck(type)}${mode === "REQUIRED" ? " NOT NULL" : ""}`
  ).join(", ");
}
