import {
  err,
  LakeSyncError,
  ok,
  type Result,
  type Scheduler,
  toLakeSyncError,
} from "@lakesync/core";
import { loadDriver } from "./postgres_driver.ts";
import { PostgresPools } from "./postgres_pools.ts";

/** Options of {@linkcode openPostgresDatabase}. */
export interface PostgresDatabaseOptions {
  /** Where it is: `postgres://user:password@host:port/database`, with `sslmode` as libpq has it. */
  url: string;
  /**
   * The most connections at once for appends and reads, and as many again for checkpoints.
   *
   * @default {8}
   */
  connections?: number;
  /**
   * Waiting.
   *
   * @default {systemScheduler}
   */
  scheduler?: Scheduler;
}

/** A Postgres database. The log stores of a process share its connections. */
export interface PostgresDatabase {
  /** Its host and name, for messages: never the password. */
  readonly place: string;
  /** Closes all connections; the logs in it are closed first. May be called twice. */
  close(): Promise<void>;
}

/** The oldest version that is supported, as `server_version_num` has it. */
const MIN_VERSION = 130_000;

/**
 * Opens a Postgres database (13 or later, in UTF-8) for log stores. Not through a pooler that shares
 * a connection between transactions.
 *
 * @param options Where it is.
 * @returns The database; `VALIDATION_ERROR` where the URL is none or the database does not fit,
 * `STORAGE_ERROR` where it cannot be reached.
 *
 * @example A server that is not there
 * ```ts
 * import { openPostgresDatabase } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const opened = await openPostgresDatabase({ url: "postgres://nobody@127.0.0.1:1/none" });
 * assertEquals(opened.ok || opened.error.code, "STORAGE_ERROR");
 * ```
 */
export async function openPostgresDatabase(
  options: PostgresDatabaseOptions,
): Promise<Result<PostgresDatabase>> {
  if (!/^postgres(ql)?:\/\//.test(options.url) || !URL.canParse(options.url)) {
    return invalid("The URL of the Postgres database is none: write postgres://user@host/database");
  }
  const database = new PostgresPools(await loadDriver(), options);
  try {
    const facts = await database.use(async (client) => {
      const { rows } = await client.query({
        text: `SELECT current_setting('server_version_num') AS version,
          current_setting('server_encoding') AS encoding`,
      });
      return rows[0]!;
    });
    if (Number(facts["version"]) < MIN_VERSION) {
      await database.close();
      return invalid(`${database.place} is too old: take Postgres 13 or later`);
    }
    if (facts["encoding"] !== "UTF8") {
      await database.close();
      return invalid(
        `${database.place} is in ${facts["encoding"]}: create a database with ENCODING 'UTF8'`,
      );
    }
    return ok(database);
  } catch (thrown) {
    await database.close();
    const { message } = toLakeSyncError(thrown, "STORAGE_ERROR");
    return err(
      new LakeSyncError(
        "STORAGE_ERROR",
        `Cannot open ${database.place}: ${message}; see that the server runs and the URL is right`,
        { cause: thrown },
      ),
    );
  }
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
