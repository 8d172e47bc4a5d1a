import { LakeSyncError } from "@lakesync/core";
import { BLOCK_BYTES, type BlockChanges, BlockFile } from "./_wasm_blocks.ts";

const BLOCKS = "blocks";
const META = "meta";
const SIZE = "size";
const OWNER = "owner";

/** A file that IndexedDB keeps and memory works on. */
export interface IdbFile {
  /** The file. */
  readonly file: BlockFile;
  /** Keeps what changed, in one transaction on stable storage; where it throws, nothing changed. */
  persist(): Promise<void>;
  /** Ends it. */
  close(): void;
}

/**
 * Reads a file from IndexedDB, whole, and makes this one its owner: what an earlier owner would still
 * write is refused.
 *
 * @param name The database's name.
 * @param owner Names this one; no other one has ever been called so.
 */
export async function openIdb(name: string, owner: string): Promise<IdbFile> {
  const open = indexedDB.open(databaseName(name), 1);
  open.onupgradeneeded = () => {
    open.result.createObjectStore(BLOCKS);
    open.result.createObjectStore(META);
  };
  const database = await answer(open);
  // Another one removes it: the next transaction here says so.
  database.onversionchange = () => database.close();
  try {
    const reading = database.transaction([BLOCKS, META], "readwrite", { durability: "strict" });
    const meta = reading.objectStore(META);
    const store = reading.objectStore(BLOCKS);
    meta.put(owner, OWNER);
    const [size, keys, blocks] = await Promise.all([
      answer<number | undefined>(meta.get(SIZE)),
      answer(store.getAllKeys()),
      answer<Uint8Array[]>(store.getAll()),
      completion(reading),
    ]);
    const file = blockFile(keys, blocks, size ?? 0);
    return { file, persist: () => keep(database, file, owner), close: () => database.close() };
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** Whether there is IndexedDB here. */
export function hasIdb(): boolean {
  return globalThis.indexedDB !== undefined;
}

/** Whether there is a database of this name, where the browser tells. */
export async function existsInIdb(name: string): Promise<boolean> {
  const all = await indexedDB.databases?.() ?? [];
  return all.some((database) => database.name === databaseName(name));
}

/** Removes a database, also where there is none; open ones of it are closed by that. */
export async function removeFromIdb(name: string): Promise<void> {
  await answer(indexedDB.deleteDatabase(databaseName(name)));
}

function databaseName(name: string): string {
  return `lakesync:${name}`;
}

function blockFile(
  keys: readonly IDBValidKey[],
  blocks: Uint8Array[],
  size: number,
): BlockFile {
  const whole = blocks.length === Math.ceil(size / BLOCK_BYTES) &&
    keys.every((key, i) => key === i) && blocks.every(({ length }) => length === BLOCK_BYTES);
  if (whole) return new BlockFile(blocks, size);
  throw new LakeSyncError(
    "CORRUPT",
    "Cannot read database: parts of it are missing, remove it and sync anew",
  );
}

async function keep(database: IDBDatabase, file: BlockFile, owner: string): Promise<void> {
  const changes = file.changes();
  if (changes === undefined) return;
  try {
    const writing = database.transaction([BLOCKS, META], "readwrite", { durability: "strict" });
    await write(writing, changes, owner);
    file.kept();
  } catch (thrown) {
    file.revert();
    throw failure(thrown);
  }
}

async function write(
  transaction: IDBTransaction,
  { written, end, size }: BlockChanges,
  owner: string,
): Promise<void> {
  const done = completion(transaction);
  const blocks = transaction.objectStore(BLOCKS);
  const meta = transaction.objectStore(META);
  let taken = false;
  const asked = meta.get(OWNER);
  asked.onsuccess = () => {
    taken = asked.result !== owner;
    if (taken) transaction.abort();
  };
  try {
    for (const [i, block] of written) blocks.put(block, i);
    blocks.delete(IDBKeyRange.lowerBound(end));
    meta.put(size, SIZE);
  } catch (thrown) {
    transaction.abort();
    await done.catch(() => {});
    throw thrown;
  }
  try {
    await done;
  } catch (thrown) {
    throw taken ? notOurs() : thrown;
  }
}

function notOurs(): LakeSyncError {
  return new LakeSyncError("CLOSED", "The database was opened elsewhere: open it again");
}

function failure(thrown: unknown): LakeSyncError {
  if (thrown instanceof LakeSyncError) return thrown;
  const { name, message } = thrown as { name?: unknown; message?: unknown };
  if (name === "InvalidStateError") {
    return new LakeSyncError("CLOSED", "The database was removed: open it again", {
      cause: thrown,
    });
  }
  const reason = name === "QuotaExceededError"
    ? "the browser's room for this site is full, make room and try again"
    : String(message);
  return new LakeSyncError("STORAGE_ERROR", `Cannot commit a transaction: ${reason}`, {
    cause: thrown,
  });
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function completion(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
