import { LakeSyncError, type Scheduler } from "@lakesync/core";
import type { WasmFile } from "./_wasm_vfs.ts";

/** What `createSyncAccessHandle()` gives, in dedicated workers: https://fs.spec.whatwg.org. */
interface SyncAccessHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(from: Uint8Array, options: { at: number }): number;
  getSize(): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

type SyncFileHandle = FileSystemFileHandle & {
  createSyncAccessHandle?(): Promise<SyncAccessHandle>;
};

/** The endings of a database's files. */
export const SUFFIXES = ["", "-wal", "-journal"] as const;

/** The directory of all databases. */
const DIRECTORY = "lakesync";

/** So often is a handle asked for that another worker still holds. */
const ATTEMPTS = 500;
const PAUSE_MS = 10;

/** So often is the file system asked for, where that fails for no known reason. */
const ROOT_ATTEMPTS = 5;
const ROOT_PAUSE_MS = 50;

/** A database's files, open for this worker alone. */
export interface OpfsFiles {
  /** The files by their endings. */
  readonly files: ReadonlyMap<string, OpfsFile>;
  /** Lets go of them. */
  close(): void;
}

/** Whether the origin has a file system of its own. */
export function hasFileSystem(): boolean {
  return typeof globalThis.navigator?.storage?.getDirectory === "function";
}

/** Whether this worker can have files of it for itself alone; pages cannot. */
export function hasOpfs(): boolean {
  const handle: SyncFileHandle | undefined = globalThis.FileSystemFileHandle?.prototype;
  return hasFileSystem() && typeof handle?.createSyncAccessHandle === "function";
}

/**
 * Opens a database's files, and makes those that are missing. A worker that is ending may still hold
 * them: then it is tried again for some seconds.
 *
 * @param name The database's name.
 */
export async function openOpfs(name: string, scheduler: Scheduler): Promise<OpfsFiles> {
  const directory = await opfsDirectory(scheduler);
  const files = new Map<string, OpfsFile>();
  const close = (): void => {
    for (const file of files.values()) file.close();
  };
  try {
    // The first one is the lock: who has it has the others, too.
    for (const suffix of SUFFIXES) {
      const path = fileName(name, suffix);
      const handle: SyncFileHandle = await directory.getFileHandle(path, { create: true });
      const access = await patiently(scheduler, () => handle.createSyncAccessHandle!());
      files.set(suffix, new OpfsFile(access));
    }
    return { files, close };
  } catch (thrown) {
    close();
    throw thrown;
  }
}

/** Whether there is a database of this name. An empty file is what an attempt to make one left. */
export async function existsInOpfs(name: string, scheduler: Scheduler): Promise<boolean> {
  try {
    const handle = await (await opfsDirectory(scheduler)).getFileHandle(fileName(name, ""));
    return (await handle.getFile()).size > 0;
  } catch (thrown) {
    if (errorName(thrown) === "NotFoundError") return false;
    throw thrown;
  }
}

/** Removes a database's files, also where there are none. */
export async function removeFromOpfs(name: string, scheduler: Scheduler): Promise<void> {
  const directory = await opfsDirectory(scheduler);
  for (const suffix of SUFFIXES) {
    try {
      await patiently(scheduler, () => directory.removeEntry(fileName(name, suffix)));
    } catch (thrown) {
      if (errorName(thrown) !== "NotFoundError") throw thrown;
    }
  }
}

/** A file of the origin's own file system. */
export class OpfsFile implements WasmFile {
  readonly #handle: SyncAccessHandle;

  constructor(handle: SyncAccessHandle) {
    this.#handle = handle;
  }

  read(into: Uint8Array, at: number): number {
    return this.#handle.read(into, { at });
  }

  write(from: Uint8Array, at: number): void {
    if (this.#handle.write(from, { at }) === from.length) return;
    throw new DOMException("The file could not be written whole", "QuotaExceededError");
  }

  size(): number {
    return this.#handle.getSize();
  }

  truncate(size: number): void {
    this.#handle.truncate(size);
  }

  sync(): void {
    this.#handle.flush();
  }

  /** Lets go of it. */
  close(): void {
    this.#handle.close();
  }
}

async function opfsDirectory(scheduler: Scheduler): Promise<FileSystemDirectoryHandle> {
  return await (await rootDirectory(scheduler)).getDirectoryHandle(DIRECTORY, { create: true });
}

/** WebKit's private windows have no root and call that an unknown error, as it does one that passes. */
async function rootDirectory(scheduler: Scheduler): Promise<FileSystemDirectoryHandle> {
  for (let attempt = 1;; attempt++) {
    try {
      return await globalThis.navigator.storage.getDirectory();
    } catch (thrown) {
      if (errorName(thrown) !== "UnknownError") throw thrown;
      if (attempt === ROOT_ATTEMPTS) {
        throw new DOMException((thrown as Error).message, "NotSupportedError");
      }
      await scheduler.delay(ROOT_PAUSE_MS);
    }
  }
}

/** Any name becomes one that file systems take. */
function fileName(name: string, suffix: string): string {
  return `${encodeURIComponent(name)}.sqlite${suffix}`;
}

async function patiently<T>(scheduler: Scheduler, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await work();
    } catch (thrown) {
      if (errorName(thrown) !== "NoModificationAllowedError") throw thrown;
      if (attempt === ATTEMPTS) {
        throw new LakeSyncError(
          "STORAGE_ERROR",
          "Cannot get hold of the database: another tab or worker has it open, close that one",
          { cause: thrown },
        );
      }
      await scheduler.delay(PAUSE_MS);
    }
  }
}

function errorName(thrown: unknown): unknown {
  return (thrown as { name?: unknown } | null)?.name;
}
