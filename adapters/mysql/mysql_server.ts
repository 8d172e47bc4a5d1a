import { Readable } from "node:stream";
import {
  err,
  LakeSyncError,
  ok,
  type Result,
  type SqlDialect,
  type SqlResultRow,
  type SqlServer,
  type SqlStatement,
  type SqlTransactionOptions,
  type SqlWork,
} from "@lakesync/core";
import {
  type LoadStatement,
  mysqlDialect,
  type MysqlFacts,
  type NewRowsStatement,
} from "./dialect.ts";
import {
  ask,
  loadDriver,
  type MysqlAnswer,
  type MysqlConnection,
  type MysqlDriver,
  type MysqlPool,
} from "./_driver.ts";
import { CHANGED, mysqlError } from "./_error.ts";

/** Options of {@linkcode mysqlServer}. */
export interface MysqlServerOptions {
  /** Where it is: `mysql://user:password@host:port/database`. The tables are in that database. */
  readonly url: string;
  /**
   * The most connections at once.
   *
   * @default {4}
   */
  readonly connections?: number;
  /**
   * How long a connection may take to be there, in ms.
   *
   * @default {10_000}
   */
  readonly connectMs?: number;
  /**
   * How long a statement may take, in ms. One that was not answered by then has lost its connection.
   *
   * @default {60_000}
   */
  readonly statementMs?: number;
  /**
   * How long a connection that nobody uses is kept, in ms.
   *
   * @default {30_000}
   */
  readonly idleMs?: number;
  /**
   * Whether rows are written by LOAD DATA LOCAL, where the server allows it; else by INSERT.
   *
   * @default {true}
   */
  readonly loadData?: boolean;
}

/** The most bytes of a packet of a load: less than any `max_allowed_packet` that is in use. */
const PACKET = 256 * 1024;
/** The code of the warning of a row that is there. */
const DUPLICATE_KEY = "1062";

/**
 * A MySQL (8 or later) or MariaDB (10.6 or later) database for
 * {@linkcode https://jsr.io/@lakesync/adapter-database | sqlAdapter}. It connects when it is first
 * asked, and anew after a connection was lost.
 *
 * @param options Where it is.
 * @returns The database; `VALIDATION_ERROR` where the URL is none.
 *
 * @example Its name leaves the password out
 * ```ts
 * import { mysqlServer } from "@lakesync/adapter-mysql";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const server = unwrapOrThrow(await mysqlServer({ url: "mysql://app:secret@db.example/shop" }));
 * assertEquals(server.place, "mysql://db.example/shop");
 * await server.close();
 * ```
 */
export async function mysqlServer(options: MysqlServerOptions): Promise<Result<SqlServer>> {
  const { url } = options;
  if (!/^mysql:\/\/[^/]*\/[^/?]/.test(url) || !URL.canParse(url)) {
    return err(
      new LakeSyncError(
        "VALIDATION_ERROR",
        "The URL of the MySQL database is none: write mysql://user@host/database",
      ),
    );
  }
  return ok(new MysqlSqlServer(await loadDriver(), options));
}

class MysqlSqlServer implements SqlServer {
  readonly place: string;
  readonly dialect: SqlDialect;
  // Known from the first connection on, and nothing is written before it.
  readonly #facts: MysqlFacts = {
    localInfile: false,
    maxPacket: 4 * 1024 * 1024,
    collation: "utf8mb4_bin",
  };
  readonly #options: MysqlServerOptions;
  readonly #pool: MysqlPool;
  readonly #ready: WeakSet<MysqlConnection> = new WeakSet();
  #closed: Promise<void> | undefined;

  constructor(driver: MysqlDriver, options: MysqlServerOptions) {
    const { url, connections = 4, connectMs = 10_000, idleMs = 30_000 } = options;
    const { host, pathname } = new URL(url);
    this.place = `mysql://${host}${pathname}`;
    this.dialect = mysqlDialect(this.#facts);
    this.#options = options;
    this.#pool = driver.createPool({
      uri: url,
      charset: "utf8mb4_bin",
      connectionLimit: connections,
      connectTimeout: connectMs,
      idleTimeout: idleMs,
      enableKeepAlive: true,
      disableEval: true,
      // Texts as they come: MySQL has 64-bit integers that no number holds.
      typeCast: (field: { string(encoding: string): string | null }) => field.string("utf8"),
    });
  }

  async transaction<T>(
    body: (work: SqlWork) => Promise<T>,
    options: SqlTransactionOptions = {},
  ): Promise<Result<T>> {
    const { signal } = options;
    const stopped = () => signal?.aborted === true;
    if (stopped()) return err(this.#stopped(signal));
    let connection: MysqlConnection;
    try {
      connection = await this.#connect();
    } catch (thrown) {
      return err(mysqlError(thrown, this.place));
    }
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => {});
    const breakOff = () => {
      // One that is destroyed answers nothing any more.
      connection.destroy();
      broken.reject(this.#stopped(signal));
    };
    signal?.addEventListener("abort", breakOff);
    // One after the other, as a statement may take more than one question; behind one that failed none.
    let last: Promise<unknown> = Promise.resolve();
    const run = (statement: SqlStatement): Promise<readonly SqlResultRow[]> => {
      const answer = last.then(() =>
        Promise.race([this.#run(connection, statement), broken.promise])
      );
      last = answer;
      return answer;
    };
    const plain = (text: string) => run({ text, parameters: [] });
    let done = false;
    try {
      await plain("START TRANSACTION");
      const value = await body({ run });
      await plain("COMMIT");
      done = true;
      return ok(value);
    } catch (thrown) {
      return err(stopped() ? this.#stopped(signal) : mysqlError(thrown, this.place));
    } finally {
      signal?.removeEventListener("abort", breakOff);
      // One that failed is closed, and so rolled back.
      if (done) connection.release();
      else connection.destroy();
    }
  }

  async describe(work: SqlWork, table: string): Promise<ReadonlyMap<string, string>> {
    const rows = await work.run({
      text: `SELECT column_name, column_type FROM information_schema.columns
        WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position`,
      parameters: [table],
    });
    return new Map(rows.map(([name, type]) => [name!, type!]));
  }

  close(): Promise<void> {
    return this.#closed ??= new Promise((resolve) => this.#pool.end(() => resolve()));
  }

  async #connect(): Promise<MysqlConnection> {
    const connection = await new Promise<MysqlConnection>((resolve, reject) =>
      this.#pool.getConnection((error, connection) =>
        error === null ? resolve(connection) : reject(error)
      )
    );
    if (this.#ready.has(connection)) return connection;
    try {
      // A connection that is lost fails what is asked of it: nobody needs to hear it twice.
      connection.on("error", () => {});
      const run = (text: string) => this.#run(connection, { text, parameters: [] });
      await run("SET SESSION sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00'");
      await run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
      const [facts] = await run("SELECT @@local_infile, @@max_allowed_packet, VERSION()");
      const [localInfile, maxPacket, version] = facts!;
      const { loadData = true } = this.#options;
      this.#facts.localInfile = loadData && localInfile === "1";
      this.#facts.maxPacket = Number(maxPacket);
      this.#facts.collation = /mariadb/i.test(version!) ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin";
      this.#ready.add(connection);
      return connection;
    } catch (thrown) {
      connection.destroy();
      throw thrown;
    }
  }

  async #run(
    connection: MysqlConnection,
    statement: SqlStatement,
  ): Promise<readonly SqlResultRow[]> {
    const { text, parameters } = statement;
    const lines = "lines" in statement ? (statement as LoadStatement).lines : undefined;
    const answer: MysqlAnswer = await ask(connection, {
      sql: text,
      values: parameters,
      timeout: this.#options.statementMs ?? 60_000,
      rowsAsArray: true,
      ...(lines !== undefined && { infileStreamFactory: () => Readable.from(packetsOf(lines)) }),
    });
    if (!("warningStatus" in answer)) return answer;
    const { warningStatus, affectedRows } = answer;
    const newRows = "newRows" in statement ? (statement as NewRowsStatement).newRows : undefined;
    // A load does not fail for what it cannot take: it warns, and writes something else.
    if (lines !== undefined && warningStatus > (newRows ?? affectedRows) - affectedRows) {
      const found = await ask(connection, { sql: "SHOW WARNINGS", rowsAsArray: true });
      const warnings = "warningStatus" in found ? [] : found;
      const isOther = ([, code]: readonly (string | null)[]) => code !== DUPLICATE_KEY;
      throw refused((warnings.find(isOther) ?? warnings[0])?.[2], this.place);
    }
    return newRows === undefined ? [] : [[String(affectedRows)]];
  }

  #stopped(signal: AbortSignal | undefined): LakeSyncError {
    return new LakeSyncError("ABORTED", `Stopped what ${this.place} was asked: it is rolled back`, {
      cause: signal?.reason,
    });
  }
}

/** A row may be longer than what the server takes at once: it is given to it in parts. */
function* packetsOf(lines: readonly Uint8Array[]): Generator<Uint8Array> {
  for (const some of lines) {
    for (let i = 0; i < some.length; i += PACKET) yield some.subarray(i, i + PACKET);
  }
}

function refused(warning: string | null | undefined, place: string): LakeSyncError {
  const column = /column '(?:[^']*\.)?`?([^'`]+)`?'|Field '([^']+)'/i.exec(warning ?? "");
  return new LakeSyncError("CONFLICT", `${place} failed (${warning}): ${CHANGED}`, {
    details: column === null ? {} : { column: column[1] ?? column[2] ?? "" },
  });
}
