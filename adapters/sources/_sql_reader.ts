import {
  isIdentifier,
  isRowId,
  type JsonValue,
  LakeSyncError,
  type Result,
  type SourceChange,
  type SqlDialect,
  type SqlParameter,
  type SqlResultRow,
  type SqlServer,
  type SqlStatement,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { wireValue } from "./_sql_value.ts";

/** What sources of rows of a database have in common. */
export interface SqlSourceOptions {
  /** Names the source: an identifier. */
  readonly name: string;
  /** Opens the database, when it is first read: `() => postgresServer({ url })`, say. */
  readonly open: () => Promise<Result<SqlServer>>;
  /**
   * What is read: `SELECT * FROM orders`, say. It must have the key and all columns of the table that
   * the rows go to, under their names; a `?` cannot be in it.
   */
  readonly query: string;
  /** The column that tells rows apart and orders them, by an index. Its text is the row's key. */
  readonly key: string;
  /** The table that the rows go to. */
  readonly to: TableSchema;
  /**
   * How many rows are read at once, and make a batch at the most.
   *
   * @default {2000}
   */
  readonly batchSize?: number;
}

/** A row that was read. */
export interface SqlRead {
  /** The key, as the database has it. */
  readonly key: string;
  /** All values, as the database has them: the key, what else was asked for, the columns. */
  readonly texts: SqlResultRow;
}

const DEFAULT_BATCH_SIZE = 2000;

/** Reads rows of a query, page by page, each in a transaction of its own. */
export class SqlReader {
  readonly name: string;
  readonly batchSize: number;
  readonly #options: SqlSourceOptions;
  readonly #extra: (dialect: SqlDialect) => readonly string[];
  #extras = 0;
  #server: Promise<SqlServer> | undefined;

  /**
   * @param options The source.
   * @param extra SQL of what is read beside the table's columns.
   * @throws {TypeError} Where a name, the query or the batch size is not allowed.
   */
  constructor(options: SqlSourceOptions, extra: (dialect: SqlDialect) => readonly string[]) {
    const { name, query, batchSize = DEFAULT_BATCH_SIZE } = options;
    if (!isIdentifier(name)) throw new TypeError(`Cannot name a source "${name}": no identifier`);
    if (query.includes("?")) {
      throw new TypeError(`Cannot read source "${name}": there is a "?" in its query`);
    }
    if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
      throw new TypeError(`Cannot read batches of ${batchSize} rows: not a whole number from 1`);
    }
    this.name = name;
    this.batchSize = batchSize;
    this.#options = options;
    this.#extra = extra;
  }

  /** Reads a page: throws what it fails with. */
  async page(
    about: {
      /** Which rows; undefined for all. */
      readonly where: (dialect: SqlDialect) => SqlStatement | undefined;
      /** The columns that a page is in the order of; undefined for all rows at once, in none. */
      readonly orderBy: readonly string[] | undefined;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<readonly SqlRead[]> {
    const { key, to } = this.#options;
    const rows = await this.ask((dialect, from) => {
      const { quote } = dialect;
      const where = about.where(dialect);
      const extra = this.#extra(dialect);
      this.#extras = extra.length;
      const columns = [quote(key), ...extra, ...to.columns.map(({ name }) => quote(name))];
      const text = `SELECT ${columns.join(", ")} FROM ${from}` +
        (where === undefined ? "" : ` WHERE ${where.text}`) +
        (about.orderBy === undefined
          ? ""
          : ` ORDER BY ${about.orderBy.map(quote).join(", ")} LIMIT ${this.batchSize}`);
      return { text, parameters: where?.parameters ?? [] };
    }, about.signal);
    return rows.map((texts) => ({ key: this.#key(texts), texts }));
  }

  /**
   * A value that the database gave, as a parameter that is compared with its column: where the database
   * wants numbers for numbers, one if the table says that the column has some.
   */
  parameter(
    text: string,
    { column, dialect }: { column: string; dialect: SqlDialect },
  ): SqlParameter {
    if (dialect.typedParameters !== true) return text;
    const type = this.#options.to.columns.find(({ name }) => name === column)?.type;
    const value = type === "integer" || type === "number" ? Number(text) : Number.NaN;
    return String(value) === text ? value : text;
  }

  /** Asks something about the rows, in a transaction of its own: throws what it fails with. */
  async ask(
    about: (dialect: SqlDialect, from: string) => SqlStatement,
    signal: AbortSignal | undefined,
  ): Promise<readonly SqlResultRow[]> {
    const { query, open } = this.#options;
    this.#server ??= open().then(unwrapOrThrow);
    // Opening is tried again by the next read.
    const server = await this.#server.catch((thrown) => {
      this.#server = undefined;
      throw thrown;
    });
    const answer = await server.transaction(
      // Within: what the dialect is may not be known before there is a connection.
      (work) => work.run(about(server.dialect, `(${query}) ${server.dialect.quote("q")}`)),
      signal === undefined ? {} : { signal },
    );
    if (!answer.ok) throw this.#failed(answer.error);
    return answer.value;
  }

  /** What a row changes. */
  change({ key, texts }: SqlRead): SourceChange {
    const { to } = this.#options;
    const columns = new Map<string, JsonValue>();
    for (const [i, { name, type }] of to.columns.entries()) {
      const text = texts[1 + this.#extras + i] ?? null;
      const value = text === null ? null : wireValue(text, type);
      if (value === undefined) {
        throw new LakeSyncError(
          "SCHEMA_ERROR",
          `Source "${this.name}": column "${name}" of row "${key}" is no ${type} of table ` +
            `"${to.table}", convert it in the query`,
          { details: { table: to.table, column: name } },
        );
      }
      columns.set(name, value);
    }
    return { op: "upsert", table: to.table, rowId: key, columns };
  }

  /** The change that removes a row. */
  removal(key: string): SourceChange {
    return { op: "delete", table: this.#options.to.table, rowId: key, columns: new Map() };
  }

  /** Ends its connections; a reading after that opens them again. */
  async close(): Promise<void> {
    const opened = this.#server;
    this.#server = undefined;
    const server = await opened?.catch(() => undefined);
    await server?.close();
  }

  #key(texts: SqlResultRow): string {
    const key = texts[0] ?? null;
    if (key !== null && isRowId(key)) return key;
    throw new LakeSyncError(
      "SCHEMA_ERROR",
      `Source "${this.name}": the key "${this.#options.key}" of a row is null or no text of 1 to ` +
        "256 bytes, leave such rows out in the query",
    );
  }

  #failed(error: LakeSyncError): LakeSyncError {
    return new LakeSyncError(error.code, `Cannot read source "${this.name}": ${error.message}`, {
      cause: error,
      ...(error.details !== undefined && { details: error.details }),
    });
  }
}
