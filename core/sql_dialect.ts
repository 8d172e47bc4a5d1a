/** What SQL databases differ in: all that an adapter for one more of them has to say. */
import type { JsonValue } from "./json.ts";
import type { Result } from "./result.ts";
import type { ColumnType } from "./schema.ts";

/** What statements take. */
export type SqlParameter = string | number | null;

/** A statement with a `?` for each of its parameters. */
export interface SqlStatement {
  /** Its text. No `?` but for parameters. */
  readonly text: string;
  /** Its parameters, in order. */
  readonly parameters: readonly SqlParameter[];
  /**
   * What a statement that loads a file reads in its place.
   *
   * @default {undefined}
   */
  readonly data?: string;
}

/** A row of a result, column by column as selected. Every value is the text that the database has for it. */
export type SqlResultRow = readonly (string | null)[];

/** What the columns of LakeSync's own tables are, beside those of PROTOCOL. */
export type SqlColumnType =
  | ColumnType
  /** A row's key, up to 320 bytes: ordered and compared by code point, U+0000 and trailing spaces too. */
  | "key"
  /** A short text that is a key: a table's name, an epoch. */
  | "name"
  /** Text of any length that has no U+0000. */
  | "text"
  /** A materialised row's key, as text that people read. */
  | "id";

/** A type of a database's columns. */
export interface SqlColumn {
  /** As it stands in CREATE TABLE. */
  readonly sql: string;
  /** Whether a column that the database describes so holds the same. */
  accepts(described: string): boolean;
  /** A wire value, not null, as a parameter; undefined where the column cannot hold it. */
  encode(value: JsonValue): SqlParameter | undefined;
}

/** Rows on their way into a table. */
export interface SqlWrite {
  /** The table. */
  readonly table: string;
  /** Its columns that are written; the first ones are its key. */
  readonly columns: readonly { readonly name: string; readonly type: SqlColumnType }[];
  /**
   * How many of the columns are the key of rows that are replaced where they exist.
   *
   * @default {0} every row is new
   */
  readonly key?: number;
  /** The values row by row, as {@linkcode SqlColumn.encode} gives them. No key twice. */
  readonly rows: readonly (readonly SqlParameter[])[];
}

/** What the SQL of a database is like. Pure. */
export interface SqlDialect {
  /** Quotes an identifier. */
  quote(name: string): string;
  /** The database's type for a column. */
  column(type: SqlColumnType): SqlColumn;
  /** The statements that write some rows: as many as the limits of the database ask for. */
  write(write: SqlWrite): Iterable<SqlStatement>;
  /** A condition: a column, given quoted, has one of some values of a type. */
  within(
    column: string,
    options: { readonly type: SqlColumnType; readonly values: readonly SqlParameter[] },
  ): SqlStatement;
}

/** A transaction. A failing statement rejects, and the transaction is rolled back. */
export interface SqlWork {
  /** Runs a statement and gives its rows. */
  run(statement: SqlStatement): Promise<readonly SqlResultRow[]>;
}

/** Options of {@linkcode SqlServer.transaction}. */
export interface SqlTransactionOptions {
  /** Breaks the statement under way off, and rolls back. */
  readonly signal?: AbortSignal;
}

/** A SQL database and the connections to it. */
export interface SqlServer {
  /** Its host and name, for messages: never the password. */
  readonly place: string;
  /** Its SQL. */
  readonly dialect: SqlDialect;
  /**
   * Runs `body` in a transaction in which each statement sees what was committed before it began.
   * Durable once answered. What `body` throws rolls back and becomes the error; so does a lost
   * connection, after which it is not known whether a commit under way took place.
   */
  transaction<T>(
    body: (work: SqlWork) => Promise<T>,
    options?: SqlTransactionOptions,
  ): Promise<Result<T>>;
  /** The columns of a table in their order, each with the database's type for it; none where there is no table. */
  describe(work: SqlWork, table: string): Promise<ReadonlyMap<string, string>>;
  /** Ends the connections. May be called twice. */
  close(): Promise<void>;
}
