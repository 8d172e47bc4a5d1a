import {
  err,
  LakeSyncError,
  ok,
  type Result,
  type SqlServer,
  type SqlTransactionOptions,
  type SqlWork,
} from "@lakesync/core";
import { Statements } from "./_statements.ts";
import { postgresDialect } from "./dialect.ts";
import { loadDriver, type PgClient, type PgDriver, type PgPool } from "./_driver.ts";
import { postgresError } from "./_error.ts";

/** Options of {@linkcode postgresServer}. */
export interface PostgresServerOptions {
  /** Where it is: `postgres://user:password@host:port/database`, with `sslmode` as libpq has it. */
  readonly url: string;
  /**
   * The schema that the tables are in. Made where it is not there.
   *
   * @default {"public"}
   */
  readonly schema?: string;
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
}

/** Plans that cost the same however large the tables are: none of them reads a whole table. */
const PLANNER = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"]
  .map((setting) => `-c ${setting}=off`).join(" ");

/**
 * A Postgres database (13 or later, in UTF-8) for {@linkcode https://jsr.io/@lakesync/adapter-database | sqlAdapter}.
 * It connects when it is first asked, and anew after a connection was lost.
 *
 * @param options Where it is.
 * @returns The database; `VALIDATION_ERROR` where the URL is none.
 *
 * @example Its name leaves the password out
 * ```ts
 * import { postgresServer } from "@lakesync/adapter-postgres";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const server = unwrapOrThrow(await postgresServer({ url: "postgres://app:secret@db.example/shop" }));
 * assertEquals(server.place, "postgres://db.example/shop");
 * await server.close();
 * ```
 */
export async function postgresServer(options: PostgresServerOptions): Promise<Result<SqlServer>> {
  const { url, schema = "public" } = options;
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    return invalid("The URL of the Postgres database is none: write postgres://user@host/database");
  }
  if (!/^[A-Za-z_][A-Za-z0-9_.-]{0,62}$/.test(schema)) {
    return invalid(
      `The Postgres schema "${schema}" has no name of letters, digits, "_", "." and "-": choose another`,
    );
  }
  return ok(new PostgresSqlServer(await loadDriver(), { ...options, schema }));
}

class PostgresSqlServer implements SqlServer {
  readonly place: string;
  readonly dialect = postgresDialect;
  readonly #schema: string;
  readonly #pool: PgPool;
  #closed: Promise<void> | undefined;

  constructor(driver: PgDriver, options: PostgresServerOptions & { schema: string }) {
    const { url, schema, connections = 4, connectMs = 10_000, idleMs = 30_000 } = options;
    const { statementMs = 60_000 } = options;
    const { host, pathname } = new URL(url);
    this.place = `postgres://${host}${pathname}`;
    this.#schema = schema;
    this.#pool = new driver.Pool({
      connectionString: url,
      application_name: "lakesync",
      options: PLANNER,
      // Texts as they come: Postgres has 64-bit integers that no number holds.
      types: { getTypeParser: () => (text: string) => text },
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      connectionTimeoutMillis: connectMs,
      query_timeout: statementMs,
      idle_in_transaction_session_timeout: statementMs,
      idleTimeoutMillis: idleMs,
      max: connections,
      onConnect: (client: PgClient) => setUp(client, { place: this.place, schema }),
    });
    // A connection that is lost fails what is asked of it: nobody needs to hear it twice.
    this.#pool.on("error", () => {});
    this.#pool.on("connect", (client) => client.on("error", () => {}));
  }

  async transaction<T>(
    body: (work: SqlWork) => Promise<T>,
    options: SqlTransactionOptions = {},
  ): Promise<Result<T>> {
    const { signal } = options;
    const stopped = () => signal?.aborted === true;
    if (stopped()) return err(this.#stopped(signal));
    let client;
    try {
      client = await this.#pool.connect();
    } catch (thrown) {
      return err(postgresError(thrown, this.place));
    }
    const breakOff = () => void client.end().catch(() => {});
    signal?.addEventListener("abort", breakOff);
    let done = false;
    try {
      await client.query({ text: "BEGIN" });
      const statements = new Statements(client);
      const value = await body({ run: (statement) => statements.run(statement) });
      await client.query({ text: "COMMIT" });
      done = true;
      return ok(value);
    } catch (thrown) {
      return err(
        stopped() ? this.#stopped(signal) : postgresError(thrown, this.place),
      );
    } finally {
      signal?.removeEventListener("abort", breakOff);
      // One that failed is closed, and so rolled back.
      client.release(!done);
    }
  }

  async describe(work: SqlWork, table: string): Promise<ReadonlyMap<string, string>> {
    const { quote } = this.dialect;
    const rows = await work.run({
      text: `SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
      parameters: [`${quote(this.#schema)}.${quote(table)}`],
    });
    return new Map(rows.map(([name, type]) => [name!, type!]));
  }

  close(): Promise<void> {
    return this.#closed ??= this.#pool.end();
  }

  #stopped(signal: AbortSignal | undefined): LakeSyncError {
    return new LakeSyncError("ABORTED", `Stopped what ${this.place} was asked: it is rolled back`, {
      cause: signal?.reason,
    });
  }
}

/** Makes a new connection fit: the schema, commits that wait for the disk. */
async function setUp(
  client: PgClient,
  options: { place: string; schema: string },
): Promise<void> {
  const { place, schema } = options;
  const { rows: [facts] } = await client.query({
    text: `SELECT current_setting('server_encoding'), to_regnamespace($1),
        set_config('search_path', $1 || ', pg_catalog', false),
        set_config('synchronous_commit', CASE current_setting('synchronous_commit')
          WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)`,
    values: [`"${schema}"`],
    rowMode: "array",
  });
  if (facts![0] !== "UTF8") {
    throw new LakeSyncError(
      "VALIDATION_ERROR",
      `${place} is in ${facts![0]}: create a database with ENCODING 'UTF8'`,
    );
  }
  if (facts![1] === null) {
    await client.query({ text: `CREATE SCHEMA IF NOT EXISTS "${schema}"` });
  }
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
