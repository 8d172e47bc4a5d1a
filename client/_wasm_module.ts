import { LakeSyncError } from "@lakesync/core";
import type { Sqlite3Static } from "@sqlite.org/sqlite-wasm";

let loading:
  | { readonly url: string | undefined; readonly module: Promise<Sqlite3Static> }
  | undefined;

/**
 * Loads SQLite's WebAssembly, once for a page or worker.
 *
 * @param url Where `sqlite3.wasm` is; without it, where the bundler has put it.
 */
export async function loadSqlite(url: string | undefined): Promise<Sqlite3Static> {
  if (loading === undefined || loading.url !== url) loading = { url, module: load(url) };
  try {
    return await loading.module;
  } catch (thrown) {
    // The next one tries again: the network may have been away.
    loading = undefined;
    throw thrown;
  }
}

/** Options that the package takes and its types leave out. */
interface InitOptions {
  locateFile?(file: string): string;
}

async function load(url: string | undefined): Promise<Sqlite3Static> {
  const { default: init } = await import("@sqlite.org/sqlite-wasm");
  // Its own ways to store are not used; one of them would look for a worker and for headers.
  Object.assign(globalThis, {
    sqlite3ApiConfig: {
      disable: { vfs: { kvvfs: true, opfs: true, "opfs-vfs": true, "opfs-sahpool": true } },
    },
  });
  const start: (options: InitOptions) => Promise<Sqlite3Static> = init;
  try {
    return await start(url === undefined ? {} : { locateFile: () => url });
  } catch (thrown) {
    const where = url === undefined ? "beside the bundle" : `at ${url}`;
    throw new LakeSyncError(
      "STORAGE_ERROR",
      `Cannot load sqlite3.wasm ${where}: serve that file and say where with the option wasmUrl`,
      { cause: thrown },
    );
  }
}
