import { mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { err, LakeSyncError, ok, type Result } from "@lakesync/core";

/** What a compaction's folders are called, and then some characters of chance. */
const NAMES = { changes: "lakesync-changes-", files: "lakesync-compact-" } as const;
/** The file in it that its process holds a lock on, for as long as it lives. */
const OWNER = "owner";

/**
 * A folder for what a compaction does not hold in memory, in the system's place for temporary files.
 *
 * Its process holds a lock in it that the system lets go of when the process ends, however that is; by
 * that {@linkcode removeAbandonedScratch} tells a folder that nobody will remove any more. A process id
 * would not do: ids are given again, and each container has its own.
 */
export class Scratch {
  /** Its path. */
  readonly directory: string;
  readonly #lock: DatabaseSync;

  private constructor(directory: string, lock: DatabaseSync) {
    this.directory = directory;
    this.#lock = lock;
  }

  /** Makes one. Throws what the file system does. */
  static async open(what: keyof typeof NAMES): Promise<Scratch> {
    const directory = await mkdtemp(join(tmpdir(), NAMES[what]));
    // Only a file that is locked already gets the name that others look for.
    const making = join(directory, `${OWNER}.new`);
    const lock = await lockFile(making);
    if (lock === undefined) throw new Error(`Somebody else has locked ${making}`);
    await rename(making, join(directory, OWNER));
    return new Scratch(directory, lock);
  }

  /** Removes it, with all that is in it. */
  async close(): Promise<void> {
    // Of what cannot be removed now, the owner is gone from here on.
    await rm(this.directory, { recursive: true, force: true }).catch(() => {});
    this.#lock.close();
  }
}

/** Options of {@linkcode removeAbandonedScratch}. */
export interface RemoveAbandonedScratchOptions {
  /**
   * Where the folders are.
   *
   * @default {tmpdir()} the system's place for temporary files, as `TMPDIR` says
   */
  readonly directory?: string;
}

/**
 * Removes the temporary folders of compactions that were killed on this machine. The folders of
 * processes that live are left alone, and so is whatever cannot be removed.
 *
 * @param options Where they are.
 * @returns The paths of those that are gone now; `STORAGE_ERROR` where the directory cannot be read.
 *
 * @example Before a compaction
 * ```ts
 * import { removeAbandonedScratch } from "@lakesync/adapter-iceberg";
 * import { assertEquals } from "@std/assert";
 * import { mkdtemp, rmdir } from "node:fs/promises";
 *
 * const directory = await mkdtemp("/tmp/lakesync-example-");
 * assertEquals(await removeAbandonedScratch({ directory }), { ok: true, value: [] });
 * await rmdir(directory);
 * ```
 */
export async function removeAbandonedScratch(
  options: RemoveAbandonedScratchOptions = {},
): Promise<Result<readonly string[]>> {
  const { directory = tmpdir() } = options;
  const removed: string[] = [];
  try {
    for (const name of await readdir(directory)) {
      if (!Object.values(NAMES).some((start) => name.startsWith(start))) continue;
      const path = join(directory, name);
      if (await removeIfAbandoned(path)) removed.push(path);
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return err(
      new LakeSyncError(
        "STORAGE_ERROR",
        `Cannot look for temporary folders in ${directory}: ${reason}; see to its permissions, or set TMPDIR`,
        { cause },
      ),
    );
  }
  return ok(removed);
}

/** Removes a folder whose owner is gone; whether it did. */
async function removeIfAbandoned(path: string): Promise<boolean> {
  const owner = join(path, OWNER);
  try {
    // One without the file is only just being made.
    await stat(owner);
    const lock = await lockFile(owner);
    if (lock === undefined) return false;
    try {
      await rm(path, { recursive: true });
      return true;
    } finally {
      lock.close();
    }
  } catch {
    // Removed meanwhile, or somebody else's.
    return false;
  }
}

/** Locks a file until it is closed; undefined where somebody holds it. SQLite's lock is one of the system's. */
async function lockFile(path: string): Promise<DatabaseSync | undefined> {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(path);
  try {
    database.exec("BEGIN EXCLUSIVE");
    return database;
  } catch {
    database.close();
    return undefined;
  }
}
