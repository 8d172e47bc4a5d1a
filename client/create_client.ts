import {
  type Clock,
  err,
  isClientId,
  type Logger,
  ok,
  type Random,
  type Result,
  type Scheduler,
  silentLogger,
  type SqlDatabase,
  type SyncTransport,
  systemClock,
  systemRandom,
  systemScheduler,
  type Table,
} from "@lakesync/core";
import type { Client } from "./client.ts";
import type { GetToken } from "./http_transport.ts";
import { isPage } from "./_is_page.ts";
import { LocalClient } from "./_local_client.ts";
import { localTable } from "./_local_table.ts";
import { indexLocalTables, openSchema } from "./_open_schema.ts";
import { countOutbox } from "./_outbox.ts";
import { openSqlite, removeSqlite } from "./open_sqlite.ts";
import type { ClientStorage } from "./storage.ts";
import { webSocketTransport } from "./web_socket_transport.ts";

/** Options for the automatic sync. */
export interface SyncOptions {
  /**
   * Sync by itself: after each write, when there is news, and when the device comes back online.
   *
   * @default {true}
   */
  auto?: boolean;
  /**
   * The interval in ms, where news do not come by themselves.
   *
   * @default {5_000}
   */
  intervalMs?: number;
}

/** Options of {@linkcode createClient}. */
export interface ClientOptions<Tables extends readonly Table[]> {
  /** The tables that the app uses. */
  tables: Tables;
  /**
   * The database file, `":memory:"`, or a database that is open and that the caller closes. In a page
   * of a browser the text names a database of the page's origin, which all of its tabs share.
   */
  database: string | SqlDatabase;
  /**
   * Where the gateway listens. The client takes the best way that answers: a WebSocket, else HTTP.
   *
   * @default {undefined} without it and without `transport` nothing is synced
   */
  url?: string;
  /**
   * The gateway's id; goes with `url`.
   *
   * @default {"default"}
   */
  gateway?: string;
  /**
   * Gives the token for the gateway; goes with `url`.
   *
   * @default {undefined}
   */
  getToken?: GetToken;
  /**
   * Another way to the gateway than `url`.
   *
   * @default {undefined}
   */
  transport?: SyncTransport;
  /**
   * Names a new database: the token's percent-encoded `sub`, alone or with ":" and a device name.
   * An old database keeps its name, and another one is a `CONFLICT`.
   *
   * @default {undefined} a random UUID
   */
  clientId?: string;
  /**
   * When to sync.
   *
   * @default {{}}
   */
  sync?: SyncOptions;
  /**
   * Starts the worker that a page of a browser has its database open in: a module worker of
   * `@lakesync/client/worker`. For bundlers that do not follow `new Worker(new URL(…))` in packages.
   *
   * @default {undefined} the package's own
   */
  worker?: () => Worker;
  /**
   * Where a page's worker finds `sqlite3.wasm`, which is in the npm package `@sqlite.org/sqlite-wasm`.
   *
   * @default {undefined} where the bundler has put it
   */
  wasmUrl?: string;
  /**
   * How long accepted deltas are kept, in ms, in case that the gateway is restored from a backup.
   *
   * @default {604_800_000} 7 days
   */
  retentionMs?: number;
  /**
   * Physical time.
   *
   * @default {systemClock}
   */
  clock?: Clock;
  /**
   * Chance, for ids and jitter.
   *
   * @default {systemRandom}
   */
  random?: Random;
  /**
   * Timers.
   *
   * @default {systemScheduler}
   */
  scheduler?: Scheduler;
  /**
   * Logs.
   *
   * @default {silentLogger} in a page of a browser the console, for warnings and errors
   */
  logger?: Logger;
}

const RETENTION_MS = 7 * 24 * 60 * 60 * 1000;

/**
 * Opens a device's copy of the data, and makes it where there is none.
 *
 * @param options What data, where it is kept, and where the gateway is.
 * @returns The client; `CORRUPT` where the database is damaged or another program's, `CONFLICT`
 * where it was made for another client or for tables that these cannot follow.
 * @throws {TypeError} Where an option is wrong.
 *
 * @example Write and read without a gateway
 * ```ts
 * import { createClient } from "@lakesync/client";
 * import { boolean, defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const todos = defineTable("todos", { title: string(), done: boolean() });
 * const client = unwrapOrThrow(await createClient({ tables: [todos], database: ":memory:" }));
 * const todo = unwrapOrThrow(await client.tables.todos.insert({ title: "Buy milk", done: false }));
 * await client.tables.todos.update(todo.id, { done: true });
 * assertEquals(unwrapOrThrow(await client.tables.todos.get(todo.id))?.done, true);
 * await client.close();
 * ```
 */
export async function createClient<const Tables extends readonly Table[]>(
  options: ClientOptions<Tables>,
): Promise<Result<Client<Tables>>> {
  const { url, transport, clientId, getToken, sync = {} } = options;
  if (url !== undefined && transport !== undefined) {
    throw new TypeError("Cannot create a client with both url and transport: leave one out");
  }
  if (clientId !== undefined && !isClientId(clientId)) {
    throw new TypeError(
      "Cannot create a client: clientId must be a well-formed string of 1 to 256 bytes",
    );
  }
  const intervalMs = sync.intervalMs ?? 5_000;
  if (!(intervalMs > 0)) {
    throw new TypeError(`Cannot create a client: sync.intervalMs ${intervalMs} is not above 0`);
  }
  const scheduler = options.scheduler ?? systemScheduler;
  const random = options.random ?? systemRandom;
  const tables = indexLocalTables(options.tables.map(localTable));
  const logger = options.logger ?? silentLogger;
  if (typeof options.database === "string" && isPage()) {
    if (transport !== undefined) {
      throw new TypeError(
        "Cannot create a client with a transport and a named database in a page: give url, or a database that is open",
      );
    }
    const { createInPage } = await import("./_create_in_page.ts");
    const client = await createInPage(options, {
      name: options.database,
      tables,
      auto: sync.auto ?? true,
      intervalMs,
      retentionMs: options.retentionMs ?? RETENTION_MS,
    });
    // As below.
    return client.ok ? ok(client.value as unknown as Client<Tables>) : client;
  }
  const way = url === undefined ? transport : webSocketTransport({
    url,
    scheduler,
    random,
    logger,
    ...(options.gateway !== undefined && { gateway: options.gateway }),
    ...(getToken !== undefined && { getToken }),
  });

  const ownsDatabase = typeof options.database === "string";
  const opened = typeof options.database === "string"
    ? await openSqlite({ path: options.database })
    : ok(options.database);
  if (!opened.ok) return opened;
  const database = opened.value;
  const clock = options.clock ?? systemClock;
  const retentionMs = options.retentionMs ?? RETENTION_MS;
  const state = await openSchema(database, {
    tables: [...tables.values()],
    clientId,
    random,
    settledBefore: clock.now() - retentionMs,
  });
  if (!state.ok) {
    if (ownsDatabase) await database.close();
    return err(state.error);
  }
  const outbox = await countOutbox(database);
  if (!outbox.ok) {
    if (ownsDatabase) await database.close();
    return outbox;
  }
  const client = new LocalClient({
    clientId: state.value.clientId,
    tables,
    database,
    ownsDatabase,
    ...(typeof options.database === "string" && {
      remove: removing(database, options.database),
    }),
    transport: way,
    outbox: outbox.value,
    storage: () => Promise.resolve({ kind: kindOf(options.database) }),
    auto: sync.auto ?? true,
    intervalMs,
    retentionMs,
    clock,
    random,
    scheduler,
    logger,
  });
  // Its tables have the names and columns of `Tables`, which the compiler cannot follow.
  return ok(client as unknown as Client<Tables>);
}

function removing(database: SqlDatabase, path: string): () => Promise<Result<void>> {
  return async () => {
    await database.close();
    return await removeSqlite({ path });
  };
}

function kindOf(database: string | SqlDatabase): ClientStorage["kind"] {
  if (typeof database !== "string") return "other";
  return database === ":memory:" ? "memory" : "file";
}
