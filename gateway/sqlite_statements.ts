import type { DatabaseSync, StatementSync } from "node:sqlite";
import { SqliteInserts } from "./sqlite_inserts.ts";

/** Names of the statements of a SQLite log. */
type Name =
  | "begin"
  | "commit"
  | "read"
  | "readSome"
  | "readSize"
  | "entry"
  | "sameStamp"
  | "kept"
  | "client"
  | "addClient"
  | "greatest"
  | "setPusher"
  | "pushers"
  | "addTable"
  | "setVisible"
  | "getValue"
  | "putValue"
  | "deleteValue"
  | "takeLease"
  | "dropLease"
  | "lastTxEnd"
  | "keepLastPushes"
  | "dropOldPushes"
  | "deleteKeys"
  | "deleteLog"
  | "gone"
  | "deleteRow"
  | "setMeta";

/** The statements of a SQLite log, prepared once. */
export type Statements = Readonly<Record<Name, StatementSync>>;

const ENTRIES =
  `SELECT l.seq, l.hash, l.at, l.tx_last, c.client_id, t.name, l.row_id, l.json, l.effect, l.won,
     l.state, l.judged
   FROM log l JOIN clients c ON c.no = l.client JOIN tables t ON t.no = l.tbl`;

/** What adds rows to the log. */
export function logInserts(db: DatabaseSync): SqliteInserts {
  return new SqliteInserts(db, {
    columns: 15,
    sql: (values) => `INSERT INTO log VALUES ${values}`,
  });
}

/** Prepares them. */
export function prepareStatements(db: DatabaseSync): Statements {
  return {
    begin: db.prepare("BEGIN IMMEDIATE"),
    commit: db.prepare("COMMIT"),
    read: db.prepare(`${ENTRIES} WHERE l.seq > ? AND l.seq <= ? ORDER BY l.seq LIMIT ?`),
    readSome: db.prepare(
      `${ENTRIES} WHERE l.seq IN (SELECT value FROM json_each(?)) ORDER BY l.seq`,
    ),
    // octet_length looks at a text's header only, however long it is.
    readSize: db.prepare(
      `SELECT total(octet_length(json)) AS bytes FROM
         (SELECT json FROM log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?)`,
    ),
    entry: db.prepare("SELECT hash, at, tx_last FROM log WHERE seq = ?"),
    sameStamp: db.prepare("SELECT seq, json FROM log WHERE client = ? AND hlc = ?"),
    kept: db.prepare("SELECT seq FROM last_push WHERE client = ? AND hlc = ? AND delta_id = ?"),
    client: db.prepare("SELECT no FROM clients WHERE client_id = ?"),
    addClient: db.prepare("INSERT INTO clients (client_id) VALUES (?) RETURNING no"),
    greatest: db.prepare(
      `SELECT CAST(max(hlc) AS TEXT) AS greatest FROM (
         SELECT max(hlc) AS hlc FROM log WHERE client = ?
         UNION ALL SELECT max(hlc) FROM last_push WHERE client = ?)`,
    ),
    setPusher: db.prepare("UPDATE clients SET last_push_from = ? WHERE no = ?"),
    pushers: db.prepare("SELECT count(last_push_from) AS count FROM clients"),
    addTable: db.prepare("INSERT INTO tables (name, visible) VALUES (?, 0) RETURNING no"),
    setVisible: db.prepare("UPDATE tables SET visible = ? WHERE no = ?"),
    getValue: db.prepare("SELECT value FROM kv WHERE key = ?"),
    putValue: db.prepare("INSERT OR REPLACE INTO kv VALUES (?, ?)"),
    deleteValue: db.prepare("DELETE FROM kv WHERE key = ?"),
    takeLease: db.prepare(
      `INSERT INTO leases VALUES (?1, ?2, ?3)
       ON CONFLICT DO UPDATE SET holder = ?2, until = ?3 WHERE holder = ?2 OR until <= ?4
       RETURNING name`,
    ),
    dropLease: db.prepare("DELETE FROM leases WHERE name = ? AND holder = ?"),
    lastTxEnd: db.prepare(
      "SELECT seq FROM log WHERE seq <= ? AND tx_last = seq ORDER BY seq DESC LIMIT 1",
    ),
    keepLastPushes: db.prepare(
      `INSERT OR REPLACE INTO last_push
       SELECT l.client, l.hlc, l.json ->> 'deltaId', l.seq, l.pusher
       FROM log l JOIN clients c ON c.no = l.pusher WHERE l.seq <= ? AND l.seq >= c.last_push_from`,
    ),
    dropOldPushes: db.prepare(
      "DELETE FROM last_push WHERE seq < (SELECT last_push_from FROM clients WHERE no = pusher)",
    ),
    deleteKeys: db.prepare(
      `DELETE FROM log_keys WHERE seq <= ?1 AND key IN (
         SELECT k.value FROM log l, json_each(l.keys) k WHERE l.seq <= ?1 AND l.keys IS NOT NULL)`,
    ),
    deleteLog: db.prepare("DELETE FROM log WHERE seq <= ?"),
    gone: db.prepare(
      "SELECT tbl, row_id, state FROM rows WHERE alive IS NOT 1 AND seq <= ? LIMIT ?",
    ),
    deleteRow: db.prepare("DELETE FROM rows WHERE tbl = ? AND row_id = ?"),
    setMeta: db.prepare("INSERT OR REPLACE INTO meta VALUES (?, ?)"),
  };
}
