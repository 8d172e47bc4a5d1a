import type { DatabaseSync } from "node:sqlite";
import type { LogPosition, Stamp } from "@lakesync/core";
import { EMPTY_HASH, hashText } from "./log_hash.ts";

/** What a SQLite log keeps in memory of itself: as of the last commit. */
export interface SqliteState {
  /** The head's seq. */
  seq: number;
  /** The running hash there. */
  hash: number;
  /** When the last entry was appended. */
  at: number;
  /** Where the log begins. */
  trimmed: LogPosition;
  /** The greatest purged stamp. */
  purged: Stamp | undefined;
  /** The numbers of the tables by name. */
  readonly tables: Map<string, number>;
  /** How many visible rows a table has, by its number. */
  readonly visible: Map<number, number>;
}

/** What is written in `meta`. */
export type SqliteMeta = ReadonlyMap<string, string>;

/** Reads `meta`. */
export function readMeta(db: DatabaseSync): SqliteMeta {
  const rows = db.prepare("SELECT key, value FROM meta").all();
  return new Map((rows as { key: string; value: string }[]).map(({ key, value }) => [key, value]));
}

/** The state of a log without the entries that it has. */
export function readState(db: DatabaseSync, meta: SqliteMeta): SqliteState {
  const trimmed = meta.get("trimmed");
  const purged = meta.get("purged");
  const position = trimmed === undefined
    ? { seq: 0, hash: hashText(EMPTY_HASH) }
    : JSON.parse(trimmed) as LogPosition;
  const tables = new Map<string, number>();
  const visible = new Map<number, number>();
  for (const row of db.prepare("SELECT no, name, visible FROM tables").all()) {
    const { no, name, visible: count } = row as { no: number; name: string; visible: number };
    tables.set(name, no);
    visible.set(no, count);
  }
  return {
    seq: position.seq,
    hash: Number.parseInt(position.hash, 36),
    at: 0,
    trimmed: position,
    purged: purged === undefined ? undefined : JSON.parse(purged) as Stamp,
    tables,
    visible,
  };
}
