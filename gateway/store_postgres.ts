import {
  type AppendOutcome,
  type AppendRequest,
  type Clock,
  err,
  LakeSyncError,
  type LogEntry,
  type LogPosition,
  type LogSnapshot,
  type LogStats,
  type LogStore,
  ok,
  type Random,
  type ReadLogOptions,
  type Result,
  systemRandom,
  unwrapOrThrow,
} from "@lakesync/core";
import { hashText } from "./log_hash.ts";
import { PostgresAppender } from "./postgres_appender.ts";
import { PostgresClock } from "./postgres_clock.ts";
import { openPostgresDatabase, type PostgresDatabase } from "./postgres_database.ts";
import type { PgClient, PgValue, Statement } from "./postgres_driver.ts";
import { postgresError } from "./postgres_error.ts";
import { readLog } from "./postgres_read.ts";
import { PostgresPools, settled } from "./postgres_pools.ts";
import { openSchema } from "./postgres_schema.ts";
import { openSnapshot } from "./postgres_snapshot.ts";
import { type PostgresStatements, postgresStatements } from "./postgres_statements.ts";
import { trimStep } from "./postgres_trim.ts";
import { readText, storedText } from "./sqlite_text.ts";
import { closedError } from "./store_error.ts";
import { Subscribers } from "./subscribers.ts";

/** Options of {@linkcode openPostgresLogStore}. */
export interface PostgresLogStoreOptions {
  /** The database, or its URL. An open one may have many logs and stays open when a log is closed. */
  database: PostgresDatabase | string;
  /**
   * The log's schema in the database; made where there is none. 1 to 63 letters, digits, `_`, `.`,
   * `~` or `-`.
   *
   * @default {"lakesync"}
   */
  schema?: string;
  /**
   * Where time comes from, for tests: instances go by one clock.
   *
   * @default {undefined} the database's clock
   */
  clock?: Clock;
  /**
   * Where a new store's epoch comes from.
   *
   * @default {systemRandom}
   */
  random?: Random;
}

/**
 * Opens a log store in a schema of a Postgres database. Several processes may have it open at once:
 * their appends follow one another, and each hears of the others' at once. Concurrent appends of
 * one process share one commit. Whatever the database's own setting, a commit is on stable storage.
 *
 * An append whose commit was not answered fails with `STORAGE_ERROR` and may have been made: repeated,
 * it finds its deltas as duplicates. A lost server is connected to again with the next call.
 *
 * @param options The database and the schema.
 * @returns The store; `CORRUPT` where the schema is damaged, newer or something else's (it is left
 * untouched), `STORAGE_ERROR` where the database cannot be reached.
 *
 * @example A server that is not there
 * ```ts
 * import { openPostgresLogStore } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const store = await openPostgresLogStore({ database: "postgres://nobody@127.0.0.1:1/none" });
 * assertEquals(store.ok || store.error.code, "STORAGE_ERROR");
 * ```
 */
export async function openPostgresLogStore(
  options: PostgresLogStoreOptions,
): Promise<Result<LogStore>> {
  const { schema = "lakesync", random = systemRandom } = options;
  if (!/^[A-Za-z0-9_.~-]{1,63}$/.test(schema) || schema.startsWith("pg_")) {
    throw new TypeError(
      `Cannot name a schema "${schema}": take 1 to 63 letters, digits, "_", ".", "~" or "-"`,
    );
  }
  const own = typeof options.database === "string";
  const opened = typeof options.database === "string"
    ? await openPostgresDatabase({ url: options.database })
    : ok(options.database);
  if (!opened.ok) return opened;
  const database = opened.value;
  if (!(database instanceof PostgresPools)) {
    throw new TypeError("The database is none: open it with openPostgresDatabase");
  }
  const log = `"${schema}" in ${database.place}`;
  const quoted = `"${schema}"`;
  try {
    const epoch = await database.use((client) =>
      openSchema(client, { schema, quoted, log, epoch: random.uuid() })
    );
    return ok(
      new PostgresLogStore({
        epoch,
        database,
        own,
        schema,
        log,
        statements: postgresStatements(quoted),
        clock: options.clock,
      }),
    );
  } catch (thrown) {
    if (own) await database.close();
    return err(postgresError(thrown, log));
  }
}

interface StoreParts {
  readonly epoch: string;
  readonly database: PostgresPools;
  /** Whether the database is closed with the store. */
  readonly own: boolean;
  readonly schema: string;
  /** Names the log in messages. */
  readonly log: string;
  readonly statements: PostgresStatements;
  readonly clock: Clock | undefined;
}

class PostgresLogStore implements LogStore {
  readonly epoch: string;
  readonly #parts: StoreParts;
  readonly #statements: PostgresStatements;
  readonly #clock: PostgresClock;
  readonly #appender: PostgresAppender;
  readonly #subscribers = new Subscribers();
  readonly #snapshots = new Set<() => Promise<void>>();
  #unlisten: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(parts: StoreParts) {
    this.epoch = parts.epoch;
    this.#parts = parts;
    this.#statements = parts.statements;
    this.#clock = new PostgresClock(parts.clock, parts.statements);
    this.#appender = new PostgresAppender({
      database: parts.database,
      statements: parts.statements,
      clock: this.#clock,
      channel: parts.schema,
      failed: (thrown) => this.#error(thrown),
      onWrite: () => this.#subscribers.notify(),
    });
  }

  async #guard<T>(body: () => Promise<T>): Promise<Result<T>> {
    if (this.#closed !== undefined) return err(closedError());
    try {
      return ok(await body());
    } catch (thrown) {
      return err(this.#error(thrown));
    }
  }

  #error(thrown: unknown): LakeSyncError {
    return postgresError(thrown, this.#parts.log);
  }

  #use<T>(body: (client: PgClient) => Promise<T>): Promise<T> {
    return this.#parts.database.use(body);
  }

  async #ask(statement: Statement, values: readonly PgValue[] = []) {
    return await this.#use(async (client) => (await client.query({ ...statement, values })).rows);
  }

  head(): Promise<Result<LogPosition>> {
    return this.#guard(async () => {
      const [head] = await this.#ask(this.#statements.head);
      return { seq: Number(head!["seq"]), hash: hashText(Number(head!["hash"])) };
    });
  }

  now(): Promise<Result<number>> {
    return this.#guard(() => this.#use((client) => this.#clock.now(client)));
  }

  subscribe(listener: () => void): () => void {
    const { database, schema } = this.#parts;
    this.#unlisten ??= database.listener.listen(schema, () => this.#subscribers.notify());
    return this.#subscribers.add(listener);
  }

  append(request: AppendRequest): Promise<Result<AppendOutcome>> {
    if (this.#closed !== undefined) return Promise.resolve(err(closedError()));
    return this.#appender.append(request);
  }

  read(after: number, options: ReadLogOptions): Promise<Result<readonly LogEntry[]>> {
    return this.#guard(async () =>
      // Thrown outside: what is trimmed is no reason to close a connection.
      unwrapOrThrow(
        await this.#use((client) => readLog(client, this.#statements, { ...options, after })),
      )
    );
  }

  hashAt(seq: number): Promise<Result<string | undefined>> {
    return this.#guard(async () => {
      const [row] = await this.#ask(this.#statements.hashAt, [seq]);
      return row === undefined ? undefined : hashText(Number(row["hash"]));
    });
  }

  snapshot(): Promise<Result<LogSnapshot>> {
    return this.#guard(() =>
      openSnapshot({
        database: this.#parts.database,
        statements: this.#statements,
        open: this.#snapshots,
        failed: (thrown) => this.#error(thrown),
      })
    );
  }

  getValue(key: string): Promise<Result<string | undefined>> {
    return this.#guard(async () => {
      const [row] = await this.#ask(this.#statements.getValue, [storedText(key)]);
      return row === undefined ? undefined : readText(row["value"]!);
    });
  }

  async setValue(key: string, value: string | null): Promise<Result<void>> {
    // As an append: under the head's lock, so that no plan sees a value change beneath it.
    const set = await this.append({
      clientId: "",
      deltas: [],
      rows: [],
      plan: () => ({ entries: [], rows: [], values: new Map([[key, value]]) }),
    });
    return set.ok ? ok(undefined) : set;
  }

  acquireLease(name: string, options: { holder: string; ttlMs: number }): Promise<Result<boolean>> {
    return this.#guard(async () => {
      const values = [
        this.#clock.time,
        storedText(name),
        storedText(options.holder),
        options.ttlMs,
      ];
      return (await this.#ask(this.#statements.takeLease, values)).length > 0;
    });
  }

  releaseLease(name: string, options: { holder: string }): Promise<Result<void>> {
    return this.#guard(async () => {
      await this.#ask(this.#statements.dropLease, [storedText(name), storedText(options.holder)]);
    });
  }

  trim(options: { through: number }): Promise<Result<void>> {
    return this.#guard(async () => {
      let more = true;
      while (more) {
        more = await this.#use((client) => trimStep(client, this.#statements, options.through));
      }
      await this.#ask(this.#statements.dropOldPushes);
    });
  }

  seqBefore(at: number): Promise<Result<number>> {
    return this.#guard(async () => {
      const [found] = await this.#ask(this.#statements.seqBefore, [Math.ceil(at)]);
      return Number(found!["seq"]);
    });
  }

  stats(): Promise<Result<LogStats>> {
    return this.#guard(() =>
      this.#use(async (client) => {
        const [{ rows: [head] }, { rows: tables }] = await settled([
          client.query(this.#statements.stats),
          client.query(this.#statements.tables),
        ]);
        return {
          head: Number(head!["seq"]),
          trimmed: Number(head!["trimmed_seq"]),
          rows: new Map(tables.map(({ name, visible }) => [name!, Number(visible)])),
          clients: Number(head!["clients"]),
        };
      })
    );
  }

  close(): Promise<void> {
    return this.#closed ??= (async () => {
      await this.#appender.settled;
      this.#unlisten?.();
      await Promise.all([...this.#snapshots].map((close) => close()));
      if (this.#parts.own) await this.#parts.database.close();
    })();
  }
}
