import type { EntryEffect, Hlc, LogEntry } from "@lakesync/core";
import { hashText } from "./log_hash.ts";
import type { PgRow } from "./postgres_driver.ts";
import { packEffect, unpackEffect } from "./sqlite_effect.ts";
import { readText } from "./sqlite_text.ts";

/** An effect as one text: for most entries only its bits. */
export function storedEffect(effect: EntryEffect): string {
  const packed = packEffect(effect);
  const { effect: bits, won, state, judged } = packed;
  return won === null && state === null && judged === null
    ? String(bits)
    : JSON.stringify([bits, won, state, judged]);
}

function readEffect(text: string): EntryEffect {
  const stored = JSON.parse(text) as number | [number, string | null, string | null, string | null];
  const [effect, won, state, judged] = typeof stored === "number"
    ? [stored, null, null, null]
    : stored;
  return unpackEffect({ effect, won, state, judged });
}

/** A stamp as Postgres keeps it: 64 bits, signed, in the same order. */
export function storedHlc(hlc: Hlc): string {
  return String(BigInt(hlc) - 2n ** 63n);
}

/** The entry that a row of the statement `read` stands for. */
export function toEntry(row: PgRow): LogEntry {
  return {
    seq: Number(row["seq"]),
    hash: hashText(Number(row["hash"])),
    at: Number(row["at"]),
    txLast: Number(row["tx_last"]),
    clientId: readText(row["client_id"]!),
    table: row["tbl"]!,
    rowId: readText(row["row_id"]!),
    json: row["json"]!,
    effect: readEffect(row["effect"]!),
  };
}
