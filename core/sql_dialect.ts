/** What SQL databases differ in: all that an adapter for one more of them has to say. */
import type { Delta } from "./delta.ts";
import type { JsonValue } from "./json.ts";
import type { FlushBatch, FlushOutcome, Watermark } from "./ports.ts";
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

/** SQL for numbers that stand for a row, so that rows can be compared without being sent. */
export interface SqlDigest {
  /** A whole number from 0 and below {@linkcode DIGEST_BUCKETS}, by the row's key. */
  readonly bucket: string;
  /** A whole number of 60 bits, by what is in the row's columns. */
  readonly hash: string;
}

/** How many buckets there are in a {@linkcode SqlDigest}. */
export const DIGEST_BUCKETS: number = 65_536;

/** What the SQL of a database is like. Pure. */
export interface SqlDialect {
  /** Quotes an identifier. */
  quote(name: string): string;
  /** The database's type for a column. */
  column(type: SqlColumnType): SqlColumn;
  /** The statements that write some rows: as many as the limits of the database ask for. */
  write(write: SqlWrite): Iterable<SqlStatement>;
  /**
   * The statement that writes rows whose key nobody has, and leaves those alone that are there: its one
   * row tells how many it has written.
   *
   * @default {undefined} there is none: they are looked up first
   */
  readonly writeNew?: ((write: SqlWrite) => SqlStatement) | undefined;
  /**
   * Whether a column of numbers is compared with parameters that are numbers only.
   *
   * @default {false} a text that reads as one will do
   */
  readonly typedParameters?: boolean;
  /** A condition: a column, given quoted, has one of some values of a type. */
  within(
    column: string,
    options: { readonly type: SqlColumnType; readonly values: readonly SqlParameter[] },
  ): SqlStatement;
  /**
   * Numbers that stand for a row, of columns that are given quoted. The same row gives the same ones
   * as long as the database stays the same version.
   *
   * @default {undefined} the database has no such functions
   */
  digest?(row: { readonly key: string; readonly columns: readonly string[] }): SqlDigest;
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

/** A row while deltas are merged into it. */
export interface SqlMerging {
  /** Merges one more delta of the row. */
  merge(delta: Delta): void;
  /** What it has come to, as the column `state` of `lakesync_rows` has it. */
  text(): string;
}

/** A batch on its way into a database that takes it in by means of its own. */
export interface SqlBatch {
  /** The batch. */
  readonly batch: FlushBatch;
  /** What the column `log_hash` of `lakesync_tables` has with the batch's watermark. */
  readonly logHash: string | null;
  /** The newest watermarks of these tables. Throws a `LakeSyncError`. */
  watermarks(tables: readonly string[]): Promise<ReadonlyMap<string, Watermark>>;
  /** The key of a delta's row, as a value of the type `key` that is not encoded yet. */
  key(delta: Delta): string;
  /** Begins to merge deltas into a row whose `state` in `lakesync_rows` is this; undefined for none. */
  merging(delta: Delta, state: string | undefined): SqlMerging;
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
  /**
   * Does what `DatabaseAdapter.insertDeltas` does, for a database that is asked a few large
   * questions rather than many small ones. Left out: a transaction of rounds does it.
   */
  insertBatch?(batch: SqlBatch): Promise<Result<ReadonlyMap<string, FlushOutcome>>>;
  /** The columns of a table in their order, each with the database's type for it; none where there is no table. */
  describe(work: SqlWork, table: string): Promise<ReadonlyMap<string, string>>;
  /** Ends the connections. May be called twice. */
  close(): Promise<void>;
}
