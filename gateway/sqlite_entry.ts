import type { Hlc, LogEntry } from "@lakesync/core";
import { hashText } from "./log_hash.ts";
import { unpackEffect } from "./sqlite_effect.ts";
import { readText } from "./sqlite_text.ts";

/** A row of the statement `read`. */
export interface LogRow {
  seq: number;
  hash: number;
  at: number;
  tx_last: number;
  client_id: string;
  name: string;
  row_id: string;
  json: string;
  effect: number;
  won: string | null;
  state: string | null;
  judged: string | null;
}

/** The entry that a row stands for. */
export function toEntry(row: LogRow): LogEntry {
  return {
    seq: row.seq,
    hash: hashText(row.hash),
    at: row.at,
    txLast: row.tx_last,
    clientId: readText(row.client_id),
    table: row.name,
    rowId: readText(row.row_id),
    json: row.json,
    effect: unpackEffect(row),
  };
}

/** A stamp as SQLite keeps it: 64 bits, signed. */
export function storedHlc(hlc: Hlc): bigint {
  return BigInt.asIntN(64, BigInt(hlc));
}
