import { type SqlDatabase, unwrapOrThrow } from "@lakesync/core";
import { serveTests, test, testSqlDatabase } from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openWasmSqlite, removeWasmSqlite, type WasmStorage } from "../_wasm_open.ts";

const STORAGES: readonly WasmStorage[] = ["opfs", "indexeddb", "memory"];
const KEPT: readonly WasmStorage[] = ["opfs", "indexeddb"];

let count = 0;

function freshName(): string {
  return `täst/${count++}`;
}

async function open(name: string, storage?: WasmStorage): Promise<SqlDatabase> {
  const options = storage === undefined ? { name } : { name, storage };
  return unwrapOrThrow(await openWasmSqlite(options)).database;
}

async function write(database: SqlDatabase, sql: string): Promise<void> {
  unwrapOrThrow(await database.transaction((tx) => tx.run(sql)));
}

async function one(database: SqlDatabase, sql: string): Promise<unknown> {
  const [row] = unwrapOrThrow(
    await database.transaction((tx) => tx.all(sql)),
  );
  return row === undefined ? undefined : Object.values(row)[0];
}

for (const storage of STORAGES) {
  testSqlDatabase({
    name: `openWasmSqlite(${storage})`,
    withDatabase: async (use) => {
      const name = freshName();
      await use(await open(name, storage));
      unwrapOrThrow(await removeWasmSqlite(name));
    },
  });
}

test("openWasmSqlite() gives texts and bytes back as they were, short and long", async () => {
  const database = await open(freshName(), "memory");
  const short = ["", "a", "a\0b", "\0", "\uFEFFx", "täxt", "x".repeat(39) + "ß", "\u{1F600}"];
  const long = short.map((text) => text.repeat(50_000));
  for (const text of [...short, ...long]) {
    const bytes = new TextEncoder().encode(text);
    assertEquals(
      unwrapOrThrow(await database.query("SELECT ? AS a, ? AS b, ? AS c", [text, bytes, text])),
      [
        { a: text, b: bytes, c: text },
      ],
    );
  }
  await database.close();
});

for (const storage of KEPT) {
  test(`openWasmSqlite(${storage}) keeps data over a reopening, and nothing over a removal`, async () => {
    const name = freshName();
    const first = await open(name, storage);
    await write(first, "CREATE TABLE t (x INTEGER, big TEXT)");
    await write(first, "INSERT INTO t VALUES (42, hex(randomblob(100000)))");
    const big = await one(first, "SELECT big FROM t");
    await first.close();

    const second = await open(name, storage);
    assertEquals(await one(second, "SELECT x FROM t"), 42);
    assertEquals(await one(second, "SELECT big FROM t"), big);
    await write(second, "DELETE FROM t");
    await second.close();

    const third = await open(name, storage);
    assertEquals(await one(third, "SELECT count(*) FROM t"), 0);
    assertEquals(await one(third, "PRAGMA integrity_check"), "ok");
    await third.close();

    unwrapOrThrow(await removeWasmSqlite(name));
    unwrapOrThrow(await removeWasmSqlite(name));
    const last = await open(name, storage);
    assertEquals(await one(last, "SELECT count(*) FROM sqlite_master"), 0);
    await last.close();
    unwrapOrThrow(await removeWasmSqlite(name));
  });

  test(`openWasmSqlite(${storage}) keeps two databases apart`, async () => {
    const names = [freshName(), freshName()];
    const [a, b] = [await open(names[0]!, storage), await open(names[1]!, storage)];
    await write(a, "CREATE TABLE a (x)");
    await write(b, "CREATE TABLE b (x)");
    assertEquals(await one(a, "SELECT group_concat(name) FROM sqlite_master"), "a");
    assertEquals(await one(b, "SELECT group_concat(name) FROM sqlite_master"), "b");
    for (const database of [a, b]) await database.close();
    for (const name of names) unwrapOrThrow(await removeWasmSqlite(name));
  });

  test(`openWasmSqlite() finds a database again in ${storage}`, async () => {
    const name = freshName();
    await (await open(name, storage)).close();
    const again = unwrapOrThrow(await openWasmSqlite({ name }));
    assertEquals(again.storage, storage);
    const { usage, quota, persisted } = await again.estimate();
    assert(usage !== undefined && quota !== undefined && usage < quota);
    assertEquals(typeof persisted, "boolean");
    await again.database.close();
    unwrapOrThrow(await removeWasmSqlite(name));
  });
}

test("openWasmSqlite() takes the origin's file system for a new database, in WAL mode with full syncs", async () => {
  const name = freshName();
  const { database, storage } = unwrapOrThrow(await openWasmSqlite({ name }));
  assertEquals(storage, "opfs");
  assertEquals(await one(database, "PRAGMA journal_mode"), "wal");
  assertEquals(await one(database, "PRAGMA synchronous"), 2);
  await database.close();
  unwrapOrThrow(await removeWasmSqlite(name));
});

test("openWasmSqlite() takes IndexedDB where a browser refuses its file system, and tells why", async () => {
  const name = freshName();
  const manager = Object.getPrototypeOf(navigator.storage);
  const original = manager.getDirectory;
  manager.getDirectory = () => Promise.reject(new DOMException("Private", "SecurityError"));
  try {
    const lines: unknown[] = [];
    const logger = {
      log: (level: string, event: string, facts?: object) => lines.push([level, event, facts]),
    };
    const { database, storage } = unwrapOrThrow(await openWasmSqlite({ name, logger }));
    assertEquals(storage, "indexeddb");
    assertEquals(lines, [["info", "storage.missing", { storage: "opfs", reason: "Private" }]]);
    await database.close();
  } finally {
    manager.getDirectory = original;
  }
  // It stays there.
  const again = unwrapOrThrow(await openWasmSqlite({ name }));
  assertEquals(again.storage, "indexeddb");
  await again.database.close();
  unwrapOrThrow(await removeWasmSqlite(name));
});

/** Lets a method of the browser's file system fail for a while. */
async function whileFailing(
  owner: object,
  method: string,
  options: { readonly error: string; readonly use: () => Promise<void> },
): Promise<void> {
  const original = Object.getOwnPropertyDescriptor(owner, method)!;
  const value = () => Promise.reject(new DOMException("Not now", options.error));
  Object.defineProperty(owner, method, { ...original, value });
  try {
    await options.use();
  } finally {
    Object.defineProperty(owner, method, original);
  }
}

test("openWasmSqlite() makes no second database where the file system fails for once", async () => {
  const name = freshName();
  const database = await open(name);
  await write(database, "CREATE TABLE t (x)");
  await database.close();
  for (const method of ["getDirectoryHandle", "getFileHandle"]) {
    await whileFailing(FileSystemDirectoryHandle.prototype, method, {
      error: "UnknownError",
      use: async () => {
        const opened = await openWasmSqlite({ name });
        assertEquals(opened.ok ? "" : opened.error.code, "STORAGE_ERROR");
      },
    });
  }
  const again = unwrapOrThrow(await openWasmSqlite({ name }));
  assertEquals(again.storage, "opfs");
  assertEquals(await one(again.database, "SELECT count(*) FROM t"), 0);
  await again.database.close();
  unwrapOrThrow(await removeWasmSqlite(name));
});

test("openWasmSqlite() asks again for a file system that fails without a reason, then does without", async () => {
  const name = freshName();
  const manager = Object.getPrototypeOf(navigator.storage);
  await (await open(name)).close();
  const original = manager.getDirectory;
  let failures = 0;
  manager.getDirectory = () => {
    if (++failures > 2) return original.call(navigator.storage);
    return Promise.reject(new DOMException("Unknown", "UnknownError"));
  };
  try {
    const { database, storage } = unwrapOrThrow(await openWasmSqlite({ name }));
    assertEquals(storage, "opfs");
    await database.close();
  } finally {
    manager.getDirectory = original;
  }
  await whileFailing(manager, "getDirectory", {
    error: "UnknownError",
    use: async () => {
      const { database, storage } = unwrapOrThrow(
        await openWasmSqlite({ name: `${name}/private` }),
      );
      assertEquals(storage, "indexeddb");
      await database.close();
    },
  });
  for (const used of [name, `${name}/private`]) unwrapOrThrow(await removeWasmSqlite(used));
});

test("an empty file that a failed attempt left does not hide the database in IndexedDB", async () => {
  const name = freshName();
  await whileFailing(FileSystemFileHandle.prototype, "createSyncAccessHandle", {
    error: "NotAllowedError",
    use: async () => {
      const { database, storage } = unwrapOrThrow(await openWasmSqlite({ name }));
      assertEquals(storage, "indexeddb");
      await write(database, "CREATE TABLE t (x)");
      await database.close();
    },
  });
  assertEquals((await bytesOf(name)).length, 0);
  const { database, storage } = unwrapOrThrow(await openWasmSqlite({ name }));
  assertEquals(storage, "indexeddb");
  assertEquals(await one(database, "SELECT count(*) FROM t"), 0);
  await database.close();
  unwrapOrThrow(await removeWasmSqlite(name));
});

test("removeWasmSqlite() removes a database from IndexedDB where files are refused", async () => {
  const name = freshName();
  const manager = Object.getPrototypeOf(navigator.storage);
  await whileFailing(manager, "getDirectory", {
    error: "SecurityError",
    use: async () => {
      const { database } = unwrapOrThrow(await openWasmSqlite({ name }));
      await write(database, "CREATE TABLE secret (x)");
      await database.close();
      unwrapOrThrow(await removeWasmSqlite(name));
    },
  });
  assertEquals((await indexedDB.databases()).filter((d) => d.name?.endsWith(name)), []);
});

async function fileOf(name: string): Promise<FileSystemFileHandle> {
  const root = await navigator.storage.getDirectory();
  const directory = await root.getDirectoryHandle("lakesync", { create: true });
  return await directory.getFileHandle(`${encodeURIComponent(name)}.sqlite`, { create: true });
}

async function bytesOf(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await (await fileOf(name)).getFile()).arrayBuffer());
}

async function putBytes(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const writable = await (await fileOf(name)).createWritable();
  await writable.write(bytes);
  await writable.close();
}

async function refused(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  await putBytes(name, bytes);
  const opened = await openWasmSqlite({ name });
  assert(!opened.ok);
  assertEquals(opened.error.code, "CORRUPT");
  assertEquals(await bytesOf(name), bytes, "the file is untouched");
  unwrapOrThrow(await removeWasmSqlite(name));
  return opened.error.message;
}

test("openWasmSqlite() refuses a damaged file and another program's, and leaves it as it is", async () => {
  const name = freshName();
  const database = await open(name, "opfs");
  await write(database, "CREATE TABLE t (x)");
  await database.close();
  const whole = await bytesOf(name);
  assertStringIncludes(await refused(name, whole.slice(0, -100)), "it is damaged");
  // The schema's page, behind the header.
  await refused(name, whole.slice().fill(0xff, 100, 4096));
  // The application's mark.
  assertStringIncludes(
    await refused(name, whole.slice().fill(0, 68, 72)),
    "it belongs to another program",
  );
  const diary = new TextEncoder().encode("Dear diary, ".repeat(500));
  assertStringIncludes(await refused(name, diary), "it is not a SQLite database");
});

test("openWasmSqlite(indexeddb) refuses a database that lacks a part, and leaves it as it is", async () => {
  const name = freshName();
  const database = await open(name, "indexeddb");
  await write(database, "CREATE TABLE t AS SELECT hex(randomblob(20000)) AS x");
  await database.close();
  const blocks = await idbBlocks(name, (store) => store.delete(1));
  const opened = await openWasmSqlite({ name });
  assertEquals(opened.ok ? "" : opened.error.code, "CORRUPT");
  assertEquals(await idbBlocks(name), blocks);
  unwrapOrThrow(await removeWasmSqlite(name));
});

/** How many blocks there are after a change. */
async function idbBlocks(
  name: string,
  change: (store: IDBObjectStore) => void = () => {},
): Promise<number> {
  const database = await answer(indexedDB.open(`lakesync:${name}`));
  const store = database.transaction("blocks", "readwrite").objectStore("blocks");
  change(store);
  const count = await answer(store.count());
  database.close();
  return count;
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

test("openWasmSqlite(indexeddb) ends what another one has opened after it", async () => {
  const name = freshName();
  const first = await open(name, "indexeddb");
  await write(first, "CREATE TABLE t (x)");
  const second = await open(name, "indexeddb");
  const late = await first.transaction((tx) => tx.run("INSERT INTO t VALUES (1)"));
  assertEquals(late.ok ? "" : late.error.code, "CLOSED");
  await write(second, "INSERT INTO t VALUES (2)");
  assertEquals(await one(second, "SELECT group_concat(x) FROM t"), "2");
  // What was not kept is not shown either.
  assertEquals(unwrapOrThrow(await first.query("SELECT count(*) AS n FROM t")), [{ n: 0 }]);
  unwrapOrThrow(await removeWasmSqlite(name));
  const gone = await second.transaction((tx) => tx.run("INSERT INTO t VALUES (3)"));
  assertEquals(gone.ok ? "" : gone.error.code, "CLOSED");
  for (const database of [first, second]) await database.close();
});

test("openWasmSqlite(opfs) waits for the one that has the files, and then opens", async () => {
  const name = freshName();
  const first = await open(name, "opfs");
  await write(first, "CREATE TABLE t AS SELECT 42 AS x");
  const second = open(name, "opfs");
  await first.close();
  assertEquals(await one(await second, "SELECT x FROM t"), 42);
  const pauses: number[] = [];
  const scheduler = { delay: (ms: number) => (pauses.push(ms), Promise.resolve()) };
  const third = await openWasmSqlite({ name, storage: "opfs", scheduler });
  assertEquals(third.ok ? "" : third.error.code, "STORAGE_ERROR");
  assertEquals(pauses.reduce((sum, ms) => sum + ms) >= 4_000, true);
  await (await second).close();
  unwrapOrThrow(await removeWasmSqlite(name));
});

serveTests();
