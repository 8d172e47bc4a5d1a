import { err, LakeSyncError, ok, type Result, type SqlDatabase } from "@lakesync/core";
import { openNodeSqlite } from "./_node_sqlite.ts";
import { sqliteError } from "./_sqlite_error.ts";
import { foreignReason, HEADER_BYTES } from "./_sqlite_header.ts";

/** Options of {@linkcode openSqlite}. */
export interface OpenSqliteOptions {
  /** The file, made where it is missing; `":memory:"` for a database that goes with the process. */
  path: string;
}

/**
 * Opens a SQLite file for a client, on Deno, Bun and Node (`node:sqlite`). It is in WAL mode with
 * `synchronous=FULL`: what a transaction has answered is on stable storage.
 *
 * @param options Where it is.
 * @returns The database; `CORRUPT` where the file is damaged or was made by something else (it is
 * left as it is), `STORAGE_ERROR` where it cannot be opened.
 *
 * @example A database in memory
 * ```ts
 * import { openSqlite } from "@lakesync/client";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const database = unwrapOrThrow(await openSqlite({ path: ":memory:" }));
 * const rows = unwrapOrThrow(await database.query("SELECT ? + 1 AS answer", [41]));
 * assertEquals(rows[0]?.answer, 42);
 * await database.close();
 * ```
 */
export async function openSqlite(options: OpenSqliteOptions): Promise<Result<SqlDatabase>> {
  const { path } = options;
  try {
    if (path !== ":memory:") {
      const foreign = await foreignFile(path);
      if (foreign !== undefined) {
        return err(
          new LakeSyncError(
            "CORRUPT",
            `Cannot open database "${path}": ${foreign}; choose another path or put a backup back`,
          ),
        );
      }
    }
    // Loaded here, so that a browser can load this package.
    const { DatabaseSync } = await import("node:sqlite");
    const timers = await import("node:timers/promises");
    // A timer, because Deno looks at its sockets only when it has nothing else to do.
    return ok(openNodeSqlite(path, { DatabaseSync, turn: () => timers.setTimeout(0) }));
  } catch (thrown) {
    return err(sqliteError(thrown, `Cannot open database "${path}"`));
  }
}

/**
 * Removes a database that {@linkcode openSqlite} has made. Nobody may have it open.
 *
 * @param options Where it is.
 * @returns Nothing, also where there was none; `STORAGE_ERROR` where a file of it could not be removed.
 */
export async function removeSqlite(options: OpenSqliteOptions): Promise<Result<void>> {
  const { path } = options;
  if (path === ":memory:") return ok(undefined);
  // Loaded here, so that a browser can load this package.
  const { rm } = await import("node:fs/promises");
  try {
    // The database last: without it nothing opens what is left.
    for (const suffix of ["-wal", "-shm", "-journal", ""]) {
      await rm(`${path}${suffix}`, { force: true });
    }
    return ok(undefined);
  } catch (cause) {
    return err(
      new LakeSyncError(
        "STORAGE_ERROR",
        `Cannot remove database "${path}": ${String(cause)}; close what has it open and try again`,
        { cause },
      ),
    );
  }
}

async function foreignFile(path: string): Promise<string | undefined> {
  // Loaded here, so that a browser can load this package.
  const { open } = await import("node:fs/promises");
  const header = new Uint8Array(HEADER_BYTES);
  try {
    const file = await open(path, "r");
    try {
      const { bytesRead } = await file.read(header, 0, HEADER_BYTES, 0);
      return foreignReason(header.subarray(0, bytesRead), (await file.stat()).size);
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === "ENOENT") return undefined;
    throw thrown;
  }
}
