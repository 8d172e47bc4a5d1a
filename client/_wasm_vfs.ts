import type { Sqlite3Static } from "@sqlite.org/sqlite-wasm";

/** A file as SQLite needs one: synchronous. Its methods throw, as the platform's own do. */
export interface WasmFile {
  /** Reads what is there; the number of bytes. */
  read(into: Uint8Array, at: number): number;
  /** Writes all of it. */
  write(from: Uint8Array, at: number): void;
  /** Its size in bytes; a file of none counts as missing. */
  size(): number;
  /** Cuts it, or fills it up with zeros. */
  truncate(size: number): void;
  /** Returns when it is on stable storage. */
  sync(): void;
}

type Pointer = number;

// https://www.sqlite.org/rescode.html
const OK = 0;
const FULL = 13;
const CANTOPEN = 14;
const IOERR_READ = 266;
const IOERR_SHORT_READ = 522;
const IOERR_WRITE = 778;
const IOERR_FSYNC = 1034;
const IOERR_TRUNCATE = 1546;
const IOERR_FSTAT = 1802;
const IOERR_DELETE = 2570;

const NOTFOUND = 12;
const SECTOR_BYTES = 4096;
/** A write does not harm what stands beside it: what SQLite takes for granted on every system. */
const POWERSAFE_OVERWRITE = 4096;
const MAX_PATH_BYTES = 64;

let registered = 0;

/**
 * Registers files with SQLite as a VFS of its own. There is one connection to them, so that locks
 * have nothing to do.
 *
 * @param files The files by the names under which SQLite asks for them.
 * @returns The VFS's name, and what takes it away once the connection is closed.
 */
export function registerVfs(
  { capi, wasm }: Sqlite3Static,
  files: ReadonlyMap<string, WasmFile>,
): { name: string; unregister: () => void } {
  const name = `lakesync-${registered++}`;
  const open = new Map<Pointer, WasmFile>();
  const attempt = (code: number, work: () => number | void): number => {
    try {
      return work() ?? OK;
    } catch (thrown) {
      return (thrown as { name?: unknown } | null)?.name === "QuotaExceededError" ? FULL : code;
    }
  };
  const fileAt = (pointer: Pointer): WasmFile => open.get(pointer)!;
  const named = (path: Pointer): WasmFile | undefined => files.get(wasm.cstrToJs(path) ?? "");

  const io = Object.assign(new capi.sqlite3_io_methods(), { $iVersion: 1 });
  io.installMethods({
    xClose: (file: Pointer): number => {
      open.delete(file);
      return OK;
    },
    xRead: (file: Pointer, into: Pointer, length: number, at: bigint): number =>
      attempt(IOERR_READ, () => {
        const target = wasm.heap8u().subarray(into, into + length);
        const count = fileAt(file).read(target, Number(at));
        if (count === length) return OK;
        target.fill(0, count);
        return IOERR_SHORT_READ;
      }),
    xWrite: (file: Pointer, from: Pointer, length: number, at: bigint): number =>
      attempt(IOERR_WRITE, () => {
        fileAt(file).write(wasm.heap8u().subarray(from, from + length), Number(at));
      }),
    xTruncate: (file: Pointer, size: bigint): number =>
      attempt(IOERR_TRUNCATE, () => fileAt(file).truncate(Number(size))),
    xSync: (file: Pointer): number => attempt(IOERR_FSYNC, () => fileAt(file).sync()),
    xFileSize: (file: Pointer, out: Pointer): number =>
      attempt(IOERR_FSTAT, () => {
        wasm.poke64(out, BigInt(fileAt(file).size()));
      }),
    xLock: (): number => OK,
    xUnlock: (): number => OK,
    xCheckReservedLock: (_file: Pointer, out: Pointer): number => {
      wasm.poke32(out, 0);
      return OK;
    },
    xFileControl: (): number => NOTFOUND,
    xSectorSize: (): number => SECTOR_BYTES,
    xDeviceCharacteristics: (): number => POWERSAFE_OVERWRITE,
  });

  const vfs = new capi.sqlite3_vfs();
  const standard = new capi.sqlite3_vfs(capi.sqlite3_vfs_find(null));
  // Time, chance and waiting are those of the standard VFS.
  for (const method of ["$xRandomness", "$xSleep", "$xCurrentTime", "$xCurrentTimeInt64"]) {
    Reflect.set(vfs, method, Reflect.get(standard, method));
  }
  standard.dispose();
  vfs.$iVersion = 2;
  const sample = new capi.sqlite3_file();
  vfs.$szOsFile = sample.structInfo.sizeof;
  sample.dispose();
  vfs.$mxPathname = MAX_PATH_BYTES;
  const zName = wasm.allocCString(name, false);
  vfs.$zName = zName;
  vfs.installMethods({
    xOpen: (_vfs: Pointer, path: Pointer, file: Pointer, flags: number, out: Pointer): number => {
      const found = named(path);
      // Temporary files are not asked for: temp_store is MEMORY.
      if (found === undefined) return CANTOPEN;
      open.set(file, found);
      const struct = new capi.sqlite3_file(file);
      struct.$pMethods = io.pointer;
      struct.dispose();
      wasm.poke32(out, flags);
      return OK;
    },
    xDelete: (_vfs: Pointer, path: Pointer): number =>
      attempt(IOERR_DELETE, () => {
        const file = named(path);
        file?.truncate(0);
        file?.sync();
      }),
    xAccess: (_vfs: Pointer, path: Pointer, _flags: number, out: Pointer): number =>
      attempt(IOERR_FSTAT, () => {
        wasm.poke32(out, (named(path)?.size() ?? 0) > 0 ? 1 : 0);
      }),
    xFullPathname: (_vfs: Pointer, path: Pointer, length: number, out: Pointer): number =>
      wasm.cstrncpy(out, path, length) < length ? OK : CANTOPEN,
    xGetLastError: (): number => OK,
  });
  capi.sqlite3_vfs_register(vfs, 0);
  return {
    name,
    unregister: () => {
      capi.sqlite3_vfs_unregister(vfs);
      vfs.dispose();
      io.dispose();
      wasm.dealloc(zName);
    },
  };
}
