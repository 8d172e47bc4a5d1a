import {
  err,
  LakeSyncError,
  type Logger,
  ok,
  type Result,
  type Scheduler,
  silentLogger,
  type SqlDatabase,
  systemScheduler,
} from "@lakesync/core";
import { sqliteError } from "./_sqlite_error.ts";
import { existsInIdb, hasIdb, removeFromIdb } from "./_wasm_idb.ts";
import { loadSqlite } from "./_wasm_module.ts";
import { existsInOpfs, hasFileSystem, hasOpfs, removeFromOpfs } from "./_wasm_opfs.ts";
import { openAt } from "./_wasm_place.ts";

/** Where a browser keeps a database. */
export type WasmStorage = "opfs" | "indexeddb" | "memory";

/** Options of {@linkcode openWasmSqlite}. */
export interface OpenWasmOptions {
  /** Names the database within the page's origin. */
  name: string;
  /**
   * Where it is kept.
   *
   * @default {undefined} the best place that works here
   */
  storage?: WasmStorage;
  /**
   * Where `sqlite3.wasm` is.
   *
   * @default {undefined} where the bundler has put it
   */
  wasmUrl?: string;
  /**
   * Logs.
   *
   * @default {silentLogger}
   */
  logger?: Logger;
  /**
   * Timers.
   *
   * @default {systemScheduler}
   */
  scheduler?: Scheduler;
}

/** Options of {@linkcode removeWasmSqlite}. */
export interface RemoveWasmOptions {
  /**
   * Timers.
   *
   * @default {systemScheduler}
   */
  scheduler?: Scheduler;
}

/** An open database and what is known of its place. */
export interface WasmDatabase {
  /** The database. */
  readonly database: SqlDatabase;
  /** Where it is kept. */
  readonly storage: WasmStorage;
  /** What the browser says of the origin's storage, as far as it says it. */
  estimate(): Promise<StorageState>;
}

/** The browser's storage for an origin. */
export interface StorageState {
  /** Bytes in use. */
  readonly usage?: number;
  /** Bytes that may be used. */
  readonly quota?: number;
  /** Whether the browser keeps it when room is short. */
  readonly persisted?: boolean;
}

/** So long may a removal take that others who have the database open stand in the way of. */
const REMOVAL_MS = 5_000;

/**
 * Opens a database in a browser: in a dedicated worker, or for `memory` also in a page.
 *
 * A database stays where it was made. A new one goes to the best place that works: the origin's own
 * file system, then IndexedDB, then memory, which is logged as a warning.
 *
 * @returns The database; `CORRUPT` where it is damaged or another program's (it is left as it is),
 * `STORAGE_ERROR` where it cannot be opened or another worker has it.
 */
export async function openWasmSqlite(options: OpenWasmOptions): Promise<Result<WasmDatabase>> {
  const { name, wasmUrl, logger = silentLogger, scheduler = systemScheduler } = options;
  try {
    const [sqlite3, places] = await Promise.all([
      loadSqlite(wasmUrl),
      options.storage === undefined ? placesOf(name, scheduler) : [options.storage],
    ]);
    for (const [i, storage] of places.entries()) {
      try {
        const database = await openAt(storage, { sqlite3, name, scheduler });
        if (storage === "memory" && options.storage === undefined) {
          logger.log("warn", "storage.memory", {
            message: "This browser keeps no data here: all of it is lost when the page closes",
          });
        }
        return ok({ database, storage, estimate });
      } catch (thrown) {
        if (i === places.length - 1 || !isMissing(thrown)) throw thrown;
        logger.log("info", "storage.missing", { storage, reason: (thrown as Error).message });
      }
    }
    throw new TypeError("Cannot open a database nowhere");
  } catch (thrown) {
    return err(sqliteError(thrown, `Cannot open database "${name}"`));
  }
}

/**
 * Removes all that is kept of a database, wherever it is kept. Who has it in IndexedDB loses it; who
 * has its files open must close them first.
 *
 * @returns Nothing, also where there was nothing; `STORAGE_ERROR` where it is still open.
 */
export async function removeWasmSqlite(
  name: string,
  options: RemoveWasmOptions = {},
): Promise<Result<void>> {
  const { scheduler = systemScheduler } = options;
  try {
    // Where files are refused, all there can be is in IndexedDB.
    if (hasFileSystem()) await removeFromOpfs(name, scheduler).catch(unlessRefused);
    if (hasIdb()) {
      const late = scheduler.delay(REMOVAL_MS).then(() => {
        throw new LakeSyncError("STORAGE_ERROR", "it is open elsewhere, close the other tabs");
      });
      await Promise.race([removeFromIdb(name), late]);
    }
    return ok(undefined);
  } catch (thrown) {
    return err(sqliteError(thrown, `Cannot remove database "${name}"`));
  }
}

/** Where to open a database: where it is, else where it could be, the best place first. */
async function placesOf(name: string, scheduler: Scheduler): Promise<readonly WasmStorage[]> {
  let failure: { readonly thrown: unknown } | undefined;
  if (hasOpfs()) {
    try {
      if (await existsInOpfs(name, scheduler)) return ["opfs"];
    } catch (thrown) {
      if (!isRefused(thrown)) failure = { thrown };
    }
  }
  if (hasIdb() && await existsInIdb(name).catch(unlessRefused)) return ["indexeddb"];
  // It may be in a file after all: a new one elsewhere would hide its data, and be hidden itself later.
  if (failure !== undefined) throw failure.thrown;
  return [
    ...(hasOpfs() ? ["opfs" as const] : []),
    ...(hasIdb() ? ["indexeddb" as const] : []),
    "memory",
  ];
}

/** What a browser says that never lets a storage be used here, as in private windows. */
const REFUSED: ReadonlySet<unknown> = new Set([
  "InvalidStateError",
  "NotAllowedError",
  "NotSupportedError",
  "SecurityError",
]);

/** What it says where a new database cannot be made in a place; the next one is tried then. */
const MISSING: ReadonlySet<unknown> = new Set([...REFUSED, "UnknownError"]);

function isRefused(thrown: unknown): boolean {
  return thrown instanceof DOMException && REFUSED.has(thrown.name);
}

/** What is refused for good has nothing; any other failure may pass. */
function unlessRefused(thrown: unknown): undefined {
  if (!isRefused(thrown)) throw thrown;
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof DOMException && MISSING.has(thrown.name);
}

async function estimate(): Promise<StorageState> {
  const storage: StorageManager | undefined = globalThis.navigator?.storage;
  try {
    const { usage, quota } = await storage?.estimate?.() ?? {};
    const persisted = await storage?.persisted?.();
    return {
      ...(usage !== undefined && { usage }),
      ...(quota !== undefined && { quota }),
      ...(persisted !== undefined && { persisted }),
    };
  } catch {
    // Some browsers refuse to tell in private windows.
    return {};
  }
}
