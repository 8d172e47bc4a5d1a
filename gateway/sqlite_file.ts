import { DatabaseSync } from "node:sqlite";
import { closeSync, existsSync, mkdirSync, openSync, readSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { LakeSyncError } from "@lakesync/core";

/** "LSlg": marks a SQLite file as a LakeSync log (PRAGMA application_id). */
const APPLICATION_ID = 0x4c536c67;
/** The layout below (PRAGMA user_version). */
const LAYOUT = 2;
const HEADER_BYTES = 100;
const PAGE_BYTES = 8192;
/** Up to this size a file is checked page by page when it is opened. */
const FULL_CHECK_BYTES = 64 * 2 ** 20;

const TABLES = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE clients (no INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, last_push_from INTEGER);
  CREATE TABLE tables (no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, visible INTEGER NOT NULL);
  CREATE TABLE log (
    seq INTEGER PRIMARY KEY, hash INTEGER NOT NULL, at INTEGER NOT NULL, tx_last INTEGER NOT NULL,
    pusher INTEGER NOT NULL, client INTEGER NOT NULL, hlc INTEGER NOT NULL,
    tbl INTEGER NOT NULL, row_id TEXT NOT NULL, json TEXT NOT NULL,
    effect INTEGER NOT NULL, won TEXT, state TEXT, judged TEXT, keys TEXT
  );
  CREATE INDEX log_stamp ON log (client, hlc);
  CREATE INDEX log_table ON log (tbl);
  CREATE TABLE log_keys (
    key TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (key, seq)
  ) WITHOUT ROWID;
  CREATE TABLE last_push (
    client INTEGER NOT NULL, hlc INTEGER NOT NULL, delta_id TEXT NOT NULL,
    seq INTEGER NOT NULL, pusher INTEGER NOT NULL, PRIMARY KEY (client, hlc, delta_id)
  ) WITHOUT ROWID;
  CREATE TABLE rows (
    tbl INTEGER NOT NULL, row_id TEXT NOT NULL, alive INTEGER, seq INTEGER NOT NULL, state TEXT NOT NULL,
    UNIQUE (tbl, row_id)
  );
  CREATE INDEX rows_gone ON rows (seq) WHERE alive IS NOT 1;
`;

/** An open log file. */
export interface LogFile {
  /** The one connection that writes. */
  readonly db: DatabaseSync;
  /** Held while the file is open, so that no other process opens it. */
  readonly lock: DatabaseSync;
}

/**
 * Opens a log's file, making it where there is none.
 *
 * @param path Where it is.
 * @param epoch The epoch that a new store gets.
 * @returns The open file.
 * @throws {LakeSyncError} `CORRUPT` where the file is damaged or something else: it is untouched
 * then. `CONFLICT` where another process has it open.
 */
export function openLogFile(path: string, epoch: string): LogFile {
  mkdirSync(dirname(path), { recursive: true });
  if (existsSync(path)) checkHeader(path);
  const lock = takeLock(path);
  try {
    undoBrokenCreation(path);
    const isNew = !existsSync(path) || statSync(path).size === 0;
    if (!isNew) checkPages(path);
    const db = new DatabaseSync(path);
    try {
      if (isNew) create(db, epoch);
      db.exec(`
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA cache_size = -16384;
        PRAGMA wal_autocheckpoint = 8000;
        PRAGMA temp_store = MEMORY;
        -- Whoever held a lease had the file open, and that was another process: it is gone.
        DELETE FROM leases;
      `);
      return { db, lock };
    } catch (thrown) {
      db.close();
      throw thrown;
    }
  } catch (thrown) {
    lock.close();
    throw thrown;
  }
}

/** Creates the tables before WAL is on, so that the mark is in the file's first bytes from then on. */
function create(db: DatabaseSync, epoch: string): void {
  db.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA synchronous = FULL; BEGIN IMMEDIATE`);
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${LAYOUT};`);
  db.exec(TABLES);
  db.prepare("INSERT INTO meta VALUES ('epoch', ?), ('folded', '0')").run(epoch);
  db.exec("COMMIT");
}

/**
 * A process that was killed while it made the file has left a rollback journal: SQLite undoes the
 * creation as soon as somebody who may write reads the file. Later the file is in WAL mode and has none.
 */
function undoBrokenCreation(path: string): void {
  if (!existsSync(`${path}-journal`)) return;
  const db = new DatabaseSync(path);
  try {
    db.prepare("SELECT count(*) FROM sqlite_schema").get();
  } finally {
    db.close();
  }
}

/** Looks at the file's first bytes, without SQLite, which could write to it. */
function checkHeader(path: string): void {
  const header = new Uint8Array(HEADER_BYTES);
  const file = openSync(path, "r");
  let size: number;
  try {
    size = readSync(file, header, 0, HEADER_BYTES, 0);
  } finally {
    closeSync(file);
  }
  if (size === 0) return;
  const view = new DataView(header.buffer);
  const magic = new TextDecoder().decode(header.subarray(0, 15));
  if (size < HEADER_BYTES || magic !== "SQLite format 3") {
    throw refusal(path, "it is not a SQLite file");
  }
  if (view.getUint32(68) !== APPLICATION_ID) {
    throw refusal(path, "it is some other program's database");
  }
  const layout = view.getUint32(60);
  if (layout !== LAYOUT) {
    throw refusal(path, `its layout is ${layout} and this version knows ${LAYOUT}`);
  }
}

/** Reads through the file, all of it where it is small, without changing it. */
function checkPages(path: string): void {
  const { size } = statSync(path);
  // SQLite takes what is missing for zeros. (With a WAL beside it, a page may be half written.)
  if (size % PAGE_BYTES !== 0 && !existsSync(`${path}-wal`)) {
    throw refusal(path, "it is damaged (it ends within a page)");
  }
  const full = size <= FULL_CHECK_BYTES;
  let fault: string;
  try {
    const db = new DatabaseSync(path, { readOnly: true });
    try {
      const row = db.prepare(
        full ? "PRAGMA quick_check(1)" : "SELECT 'ok' AS quick_check FROM meta",
      )
        .get() as { quick_check: string } | undefined;
      fault = row?.quick_check ?? "it is empty";
    } finally {
      db.close();
    }
  } catch (thrown) {
    fault = thrown instanceof Error ? thrown.message : String(thrown);
  }
  if (fault !== "ok") throw refusal(path, `it is damaged (${fault})`);
}

function refusal(path: string, reason: string): LakeSyncError {
  return new LakeSyncError(
    "CORRUPT",
    `Cannot open "${path}" as a log: ${reason}. It was left as it is; restore a backup or choose another data directory`,
  );
}

/** An exclusive lock that the operating system lets go of with the process, even a killed one. */
function takeLock(path: string): DatabaseSync {
  const lock = new DatabaseSync(`${path}-lock`);
  try {
    lock.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
    return lock;
  } catch (thrown) {
    lock.close();
    throw new LakeSyncError(
      "CONFLICT",
      `Cannot open "${path}": another process has it open, stop that one first`,
      { cause: thrown },
    );
  }
}
