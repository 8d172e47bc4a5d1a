import { systemScheduler } from "@lakesync/core";
import type { PostgresDatabase, PostgresDatabaseOptions } from "./postgres_database.ts";
import type { PgClient, PgConfig, PgDriver, PgPool, PooledClient } from "./postgres_driver.ts";
import { PostgresListener } from "./postgres_listener.ts";

const CONNECT_MS = 10_000;
/** A statement without an answer for so long has lost its connection. */
const QUERY_MS = 60_000;
/** A connection that is idle within a transaction for so long loses its locks. */
const IDLE_TX_MS = 30_000;
const IDLE_MS = 30_000;

/** Plans that cost the same however large the tables are: none of them reads a whole table. */
const PLANNER = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"]
  .map((setting) => `-c ${setting}=off`).concat("-c plan_cache_mode=force_generic_plan").join(" ");

/** The connections of a process to one database. */
export class PostgresPools implements PostgresDatabase {
  readonly place: string;
  /** Tells about notifications. */
  readonly listener: PostgresListener;
  readonly #pool: PgPool;
  readonly #snapshots: PgPool;
  #closed: Promise<void> | undefined;

  constructor(driver: PgDriver, options: PostgresDatabaseOptions) {
    const { url, connections = 8, scheduler = systemScheduler } = options;
    this.place = placeOf(url);
    const config: PgConfig = {
      connectionString: url,
      application_name: "lakesync",
      options: PLANNER,
      // Texts as they come: Postgres has 64-bit integers that no number holds.
      types: { getTypeParser: () => (text: string) => text },
      pipeline: true,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: QUERY_MS,
      idleTimeoutMillis: IDLE_MS,
      max: connections,
    };
    const pool = (more: Partial<PgConfig> = {}) => {
      const made = new driver.Pool({ ...config, ...more, onConnect: setUp });
      // A connection that is lost fails what is asked of it: nobody needs to hear it twice.
      made.on("error", () => {});
      made.on("connect", (client) => client.on("error", () => {}));
      return made;
    };
    this.#pool = pool({ idle_in_transaction_session_timeout: IDLE_TX_MS });
    // A snapshot is idle for as long as its reader is slow; it holds no locks.
    this.#snapshots = pool();
    this.listener = new PostgresListener({ connect: () => new driver.Client(config), scheduler });
  }

  /** Runs something on a connection; where it throws, the connection is closed and so rolled back. */
  async use<T>(body: (client: PgClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let done = false;
    try {
      const value = await body(client);
      done = true;
      return value;
    } finally {
      client.release(!done);
    }
  }

  /** A connection for as long as a snapshot is open. To be released. */
  forSnapshot(): Promise<PooledClient> {
    return this.#snapshots.connect();
  }

  /** Closes all connections. May be called twice. */
  close(): Promise<void> {
    return this.#closed ??= Promise.all([
      this.listener.close(),
      this.#pool.end(),
      this.#snapshots.end(),
    ]).then(() => {});
  }
}

function placeOf(url: string): string {
  const { host, pathname } = new URL(url);
  return `postgres://${host}${pathname}`;
}

/** Raises `synchronous_commit` where it is off; what is stricter stays. */
async function setUp(client: PgClient): Promise<void> {
  await client.query({
    text: `SELECT set_config('synchronous_commit', 'on', false)
      WHERE current_setting('synchronous_commit') = 'off'`,
  });
}

/**
 * Waits for several statements of one connection, also for those behind one that failed.
 *
 * @param queries The statements, sent already.
 * @returns Their results; the first error is thrown.
 */
export async function settled<T extends readonly unknown[]>(
  queries: { [I in keyof T]: Promise<T[I]> },
): Promise<T> {
  await Promise.allSettled(queries);
  return await Promise.all(queries) as unknown as T;
}
