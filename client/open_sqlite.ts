import { open } from "node:fs/promises";
import { err, LakeSyncError, ok, type Result, type SqlDatabase } from "@lakesync/core";
import { APPLICATION_ID, NodeSqlite } from "./_node_sqlite.ts";
import { sqliteError } from "./_sqlite_error.ts";

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
      const foreign = await foreignReason(path);
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
    return ok(NodeSqlite.open(path, DatabaseSync));
  } catch (thrown) {
    return err(sqliteError(thrown, `Cannot open database "${path}"`));
  }
}

const HEADER_BYTES = 100;
const MAGIC = "SQLite format 3\0";

/** Judged by the header alone, because SQLite itself would write to a file that it opens. */
async function foreignReason(path: string): Promise<string | undefined> {
  const header = new Uint8Array(HEADER_BYTES);
  let length: number;
  let size: number;
  try {
    const file = await open(path, "r");
    try {
      length = (await file.read(header, 0, HEADER_BYTES, 0)).bytesRead;
      size = (await file.stat()).size;
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === "ENOENT") return undefined;
    throw thrown;
  }
  if (length === 0) return undefined;
  if (length < HEADER_BYTES || new TextDecoder("latin1").decode(header.subarray(0, 16)) !== MAGIC) {
    return "it is not a SQLite database";
  }
  const view = new DataView(header.buffer);
  if (view.getUint32(68) !== APPLICATION_ID) return "it belongs to another program";
  const pageSize = view.getUint16(16) === 1 ? 65_536 : view.getUint16(16);
  // Pages that are still in the WAL alone make the file shorter than this only by whole pages.
  if (pageSize < 512 || size % pageSize !== 0) return "it is damaged";
  return undefined;
}
