import type { Readable } from "node:stream";

/** What of the driver `mysql2` is used here. It is loaded with the first database that is opened. */

/** A statement as the driver takes it. */
export interface MysqlQuery {
  readonly sql: string;
  readonly values?: readonly (string | number | null)[];
  readonly timeout?: number;
  readonly rowsAsArray?: true;
  readonly infileStreamFactory?: () => Readable;
}

/** What a statement that gives no rows gives. */
export interface MysqlHeader {
  readonly warningStatus: number;
  readonly affectedRows: number;
}

/** Rows as texts, or the header of a statement without any. */
export type MysqlAnswer = readonly (readonly (string | null)[])[] | MysqlHeader;

/** A connection of a pool. Once it is lost it stays lost, and all that is asked of it fails. */
export interface MysqlConnection {
  query(query: MysqlQuery, done: (error: Error | null, answer: MysqlAnswer) => void): unknown;
  on(event: "error", listener: () => void): unknown;
  /** Gives it back. */
  release(): void;
  /** Breaks it off. */
  destroy(): void;
}

/** Some connections. */
export interface MysqlPool {
  getConnection(done: (error: Error | null, connection: MysqlConnection) => void): void;
  end(done: () => void): void;
}

/** The driver. */
export interface MysqlDriver {
  createPool(config: { readonly [option: string]: unknown }): MysqlPool;
}

/** Loads the driver. */
export async function loadDriver(): Promise<MysqlDriver> {
  const driver: { default: unknown } = await import("mysql2");
  return driver.default as MysqlDriver;
}

/** Runs a statement. */
export function ask(connection: MysqlConnection, query: MysqlQuery): Promise<MysqlAnswer> {
  return new Promise((resolve, reject) =>
    connection.query(query, (error, answer) => error === null ? resolve(answer) : reject(error))
  );
}
