import { LakeSyncError, type Scheduler, type SqlDatabase, systemRandom } from "@lakesync/core";
import type { Sqlite3Static } from "@sqlite.org/sqlite-wasm";
import { SqliteDatabase } from "./_sqlite_database.ts";
import { APPLICATION_ID, foreignReason, HEADER_BYTES } from "./_sqlite_header.ts";
import { WasmConnection } from "./_wasm_connection.ts";
import { openIdb } from "./_wasm_idb.ts";
import type { WasmStorage } from "./_wasm_open.ts";
import { openOpfs } from "./_wasm_opfs.ts";
import { registerVfs, type WasmFile } from "./_wasm_vfs.ts";

/** What {@linkcode openAt} works with. */
export interface OpenAtOptions {
  /** SQLite. */
  readonly sqlite3: Sqlite3Static;
  /** The database's name. */
  readonly name: string;
  /** Timers. */
  readonly scheduler: Scheduler;
}

const PRAGMAS = [
  "temp_store = MEMORY",
  "cache_size = -32000",
  "foreign_keys = OFF",
  "trusted_schema = OFF",
];

// Without shared memory a WAL takes a connection that keeps the file for itself.
const OPFS_PRAGMAS = [
  ...PRAGMAS,
  "journal_mode = WAL",
  "synchronous = FULL",
  "wal_autocheckpoint = 4000",
];

// The file is memory, kept after each transaction as a whole.
const IDB_PRAGMAS = [...PRAGMAS, "journal_mode = MEMORY", "synchronous = OFF"];

/** Opens a database in one place. Throws what SQLite and the browser throw. */
export async function openAt(storage: WasmStorage, options: OpenAtOptions): Promise<SqlDatabase> {
  switch (storage) {
    case "opfs":
      return await openInOpfs(options);
    case "indexeddb":
      return await openInIdb(options);
    case "memory": {
      const writer = WasmConnection.open(options.sqlite3);
      for (const pragma of PRAGMAS) writer.once(`PRAGMA ${pragma}`);
      return new SqliteDatabase({ writer });
    }
  }
}

async function openInOpfs({ sqlite3, name, scheduler }: OpenAtOptions): Promise<SqlDatabase> {
  const { files, close } = await openOpfs(name, scheduler);
  try {
    const { connection, unregister } = connect(sqlite3, files, [
      "locking_mode = EXCLUSIVE",
      markPragma(files.get("")!),
      ...OPFS_PRAGMAS,
    ]);
    return new SqliteDatabase({
      writer: connection,
      closed: () => {
        unregister();
        close();
      },
    });
  } catch (thrown) {
    close();
    throw thrown;
  }
}

async function openInIdb({ sqlite3, name }: OpenAtOptions): Promise<SqlDatabase> {
  const { file, persist, close } = await openIdb(name, systemRandom.uuid());
  try {
    const { connection, unregister } = connect(sqlite3, new Map([["", file]]), [
      ...IDB_PRAGMAS,
      markPragma(file),
    ]);
    const closed = (): void => {
      unregister();
      close();
    };
    try {
      await persist();
    } catch (thrown) {
      connection.close();
      closed();
      throw thrown;
    }
    return new SqliteDatabase({ writer: connection, persist, closed });
  } catch (thrown) {
    close();
    throw thrown;
  }
}

/** Marks a new file; refuses one that is not ours, by its header alone: SQLite would write to it. */
function markPragma(file: WasmFile): string {
  const header = new Uint8Array(HEADER_BYTES);
  const size = file.size();
  const foreign = foreignReason(header.subarray(0, file.read(header, 0)), size);
  if (foreign !== undefined) {
    throw new LakeSyncError(
      "CORRUPT",
      `Cannot open database: ${foreign}, choose another name or remove it and sync anew`,
    );
  }
  return size === 0 ? `application_id = ${APPLICATION_ID}` : "application_id";
}

function connect(
  sqlite3: Sqlite3Static,
  files: ReadonlyMap<string, WasmFile>,
  pragmas: readonly string[],
): { connection: WasmConnection; unregister: () => void } {
  const named = new Map(Array.from(files, ([suffix, file]) => [`db${suffix}`, file]));
  const { name: vfs, unregister } = registerVfs(sqlite3, named);
  let connection: WasmConnection | undefined;
  try {
    connection = WasmConnection.open(sqlite3, { name: "db", vfs });
    for (const pragma of pragmas) connection.once(`PRAGMA ${pragma}`);
    connection.once("SELECT count(*) FROM sqlite_master");
    return { connection, unregister };
  } catch (thrown) {
    connection?.close();
    unregister();
    throw thrown;
  }
}
