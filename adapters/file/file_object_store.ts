import { open, readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  abortedError,
  bodyChunks,
  checkByteRange,
  checkListLimit,
  checkObjectKey,
  checkObjectPrefix,
  err,
  LakeSyncError,
  type ObjectInfo,
  type ObjectStore,
  ok,
  type Result,
  systemRandom,
  toLakeSyncError,
} from "@lakesync/core";
import {
  removeFile,
  syncDirectory,
  systemCode,
  temporaryDirectory,
  writeDurably,
} from "./_durable.ts";
import { walkKeys } from "./_walk.ts";

/** Options of {@linkcode fileObjectStore}. */
export interface FileObjectStoreOptions {
  /** The directory that the objects lie in, made with the first put. */
  readonly directory: string;
}

/** Options of {@linkcode FileObjectStore.sweep}. */
export interface SweepOptions {
  /** Only files that were last written before this time, ms since the Unix epoch. */
  readonly before: number;
}

/** An object store in a directory. */
export interface FileObjectStore extends ObjectStore {
  /**
   * Removes the temporary files that killed processes left behind. A put that is under way has one
   * too: choose a time that no put of yours lasts.
   *
   * @param options How old they must be.
   * @returns How many were removed.
   */
  sweep(options: SweepOptions): Promise<Result<number>>;
}

/**
 * An object store in a directory of the local file system, `key` → `directory/key`.
 *
 * A put writes a temporary file, brings it to stable storage and then gives it its name in one
 * system call: `rename`, or `link` for `ifAbsent`, which of several processes lets one win. What a
 * killed process leaves is invisible. As in every file system, a key cannot also be the folder of
 * another one: such a put answers `STORAGE_ERROR`.
 *
 * @param options The directory.
 * @returns The store. An ill-formed key or range rejects with `TypeError`.
 *
 * @example Put and get
 * ```ts
 * import { mkdtemp, rm } from "node:fs/promises";
 * import { tmpdir } from "node:os";
 * import { fileObjectStore } from "@lakesync/adapter-file";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const directory = await mkdtemp(`${tmpdir()}/lake-`);
 * const store = fileObjectStore({ directory });
 * unwrapOrThrow(await store.put("a/b", new Uint8Array([1, 2, 3]), { ifAbsent: true }));
 * assertEquals(unwrapOrThrow(await store.get("a/b")), new Uint8Array([1, 2, 3]));
 * await rm(directory, { recursive: true });
 * ```
 */
export function fileObjectStore(options: FileObjectStoreOptions): FileObjectStore {
  const directory = resolve(options.directory);
  const temporary = temporaryDirectory(directory);
  const pathOf = (key: string): string => join(directory, key);
  return {
    location: pathToFileURL(directory).href.replace(/\/+$/, ""),

    async put(key, body, { ifAbsent = false, signal } = {}) {
      checkObjectKey(key);
      const path = pathOf(key);
      try {
        signal?.throwIfAborted();
        await writeDurably(path, bodyChunks(body, signal), {
          temporary: join(temporary, systemRandom.uuid()),
          ifAbsent,
          beforeCommit: () => signal?.throwIfAborted(),
        });
        return ok(undefined);
      } catch (thrown) {
        if (signal?.aborted === true) return err(abortedError(`the put of "${key}"`, signal));
        if (ifAbsent && systemCode(thrown) === "EEXIST" && await isFile(path)) {
          return err(new LakeSyncError("CONFLICT", `Cannot put "${key}": it is there already`));
        }
        return err(storageError(thrown, `put "${key}"`));
      }
    },

    async get(key, { start = 0, end = Infinity, signal } = {}) {
      checkObjectKey(key);
      checkByteRange(start, end);
      if (signal?.aborted === true) return err(abortedError(`the get of "${key}"`, signal));
      try {
        return ok(await readRange(pathOf(key), { start, end }));
      } catch (thrown) {
        if (isMissing(thrown)) {
          return err(
            new LakeSyncError("NOT_FOUND", `Cannot get "${key}": there is no such object`),
          );
        }
        return err(storageError(thrown, `get "${key}"`));
      }
    },

    async head(key) {
      checkObjectKey(key);
      try {
        return ok(await infoOf(key, pathOf(key)));
      } catch (thrown) {
        return err(storageError(thrown, `look up "${key}"`));
      }
    },

    async list(prefix, { after, limit = 1000, signal } = {}) {
      checkObjectPrefix(prefix);
      checkListLimit(limit);
      try {
        const objects: ObjectInfo[] = [];
        for await (const key of walkKeys(directory, { prefix, after })) {
          signal?.throwIfAborted();
          if (objects.length === limit) return ok({ objects, next: objects.at(-1)!.key });
          const info = await infoOf(key, pathOf(key));
          // One that was removed meanwhile is left out.
          if (info !== undefined) objects.push(info);
        }
        signal?.throwIfAborted();
        return ok({ objects, next: undefined });
      } catch (thrown) {
        if (signal?.aborted === true) {
          return err(abortedError(`the listing of "${prefix}"`, signal));
        }
        return err(storageError(thrown, `list "${prefix}"`));
      }
    },

    async delete(keys) {
      for (const key of keys) checkObjectKey(key);
      try {
        for (const key of keys) await removeFile(pathOf(key));
        return ok(undefined);
      } catch (thrown) {
        return err(storageError(thrown, `delete ${keys.length} objects`));
      }
    },

    async sweep({ before }) {
      try {
        let removed = 0;
        for (const name of await readdir(temporary)) {
          const path = join(temporary, name);
          const info = await stat(path).catch(() => undefined);
          if (info === undefined || info.mtimeMs >= before) continue;
          await removeFile(path);
          removed++;
        }
        if (removed > 0) await syncDirectory(temporary);
        return ok(removed);
      } catch (thrown) {
        if (isMissing(thrown)) return ok(0);
        return err(storageError(thrown, "remove temporary files"));
      }
    },
  };
}

async function readRange(
  path: string,
  range: { start: number; end: number },
): Promise<Uint8Array> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    const length = Math.max(0, Math.min(range.end, size) - range.start);
    const bytes = new Uint8Array(length);
    let read = 0;
    while (read < length) {
      const { bytesRead } = await handle.read(bytes, read, length - read, range.start + read);
      // Files are never changed in place, so a short one is damaged.
      if (bytesRead === 0) throw new Error(`it ends ${length - read} bytes early`);
      read += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}

async function infoOf(key: string, path: string): Promise<ObjectInfo | undefined> {
  try {
    const info = await stat(path);
    return info.isFile() ? { key, size: info.size, modified: info.mtimeMs } : undefined;
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

function isMissing(thrown: unknown): boolean {
  const code = systemCode(thrown);
  return code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR";
}

function storageError(thrown: unknown, what: string): LakeSyncError {
  const error = toLakeSyncError(thrown, "STORAGE_ERROR");
  if (error === thrown) return error;
  const hint = systemCode(thrown) === "ENOSPC" ? ", free space on the disk and try again" : "";
  return new LakeSyncError("STORAGE_ERROR", `Cannot ${what}: ${error.message}${hint}`, {
    cause: thrown,
  });
}
