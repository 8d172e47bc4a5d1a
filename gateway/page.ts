import { Buffer } from "node:buffer";
import {
  type Delta,
  encodeRow,
  type LogEntry,
  type LogPosition,
  type LogStore,
  ok,
  type Result,
} from "@lakesync/core";
import { nextTurn } from "./turn.ts";

/** What a caller may see and asked for. */
export interface PageFilter {
  /** The caller's own database, whose deltas come as OWN; undefined for everything as it is. */
  readonly own: string | undefined;
  /** Only these tables; undefined for all. */
  readonly tables: ReadonlySet<string> | undefined;
}

/** How large a page may become. It exceeds this only to finish a transaction. */
export interface PageSize {
  /** The most items. */
  readonly limit: number;
  /** The most bytes of JSON in UTF-8. */
  readonly maxBytes: number;
}

/** A page of the log as one caller sees it. */
export interface Page {
  /** Its items as JSON texts. */
  readonly items: readonly string[];
  /** Where it brings the caller to. */
  readonly position: LogPosition;
  /** Whether the log goes on behind it. */
  readonly hasMore: boolean;
}

const READ_LIMIT = 1000;

/**
 * Reads a page: the one place where deltas leave the gateway (PROTOCOL, section 2, *What a pull
 * returns*).
 *
 * @param store The log.
 * @param after Where the caller stands; the end of a transaction.
 * @param options What the caller may see, and how much of it.
 * @returns The page, which ends between transactions.
 */
export async function readPage(
  store: LogStore,
  after: LogPosition,
  options: { filter: PageFilter; size: PageSize },
): Promise<Result<Page>> {
  const { filter, size } = options;
  const items: string[] = [];
  let bytes = 0;
  let position = after;
  let readTo = after.seq;
  for (;;) {
    const read = await store.read(readTo, { limit: READ_LIMIT, maxChars: size.maxBytes });
    if (!read.ok) return read;
    for (const entry of read.value) {
      const item = itemOf(entry, filter);
      if (item !== undefined) {
        items.push(item);
        bytes += Buffer.byteLength(item);
      }
      readTo = entry.seq;
      if (!entry.txEnd) continue;
      position = { seq: entry.seq, hash: entry.hash };
      if (items.length >= size.limit || bytes >= size.maxBytes) {
        const head = await store.head();
        if (!head.ok) return head;
        return ok({ items, position, hasMore: head.value.seq > position.seq });
      }
    }
    // Whole transactions are appended, so an empty read is the end of one too.
    if (read.value.length === 0) return ok({ items, position, hasMore: false });
    // A long way through entries that this caller does not get must not hold up the others.
    if (read.value.length === READ_LIMIT) await new Promise<void>(nextTurn);
  }
}

/** The item by which an entry reaches a caller, or undefined where it does not. */
function itemOf(entry: LogEntry, filter: PageFilter): string | undefined {
  if (filter.tables !== undefined && !filter.tables.has(entry.table)) return undefined;
  const { before, after, last, life, columns, state } = entry.effect;
  if (after === "alive" && (before === "alive" || before === "none")) {
    return life || columns === undefined || columns.length > 0
      ? deltaItem(entry, filter)
      : undefined;
  }
  if (!last) return undefined;
  if (before === "alive" && after === "dead") {
    return JSON.stringify({ op: "DELETE", ...rowAndTx(entry) });
  }
  if (after === "alive" && state !== undefined) {
    const { txId, table, rowId } = rowAndTx(entry);
    return JSON.stringify({ op: "ENTER", ...encodeRow({ table, rowId, state }), txId });
  }
  return undefined;
}

function deltaItem(entry: LogEntry, filter: PageFilter): string {
  if (filter.own === entry.clientId) {
    const { deltaId, txId } = parse(entry);
    return JSON.stringify({ op: "OWN", deltaId, txId });
  }
  const won = entry.effect.columns;
  if (won === undefined) return entry.json;
  const delta = parse(entry);
  return JSON.stringify({
    ...delta,
    columns: delta.columns.filter(({ column }) => won.includes(column)),
  });
}

function rowAndTx(entry: LogEntry): { table: string; rowId: string; txId: string | undefined } {
  return { table: entry.table, rowId: entry.rowId, txId: parse(entry).txId };
}

function parse(entry: LogEntry): Delta {
  return JSON.parse(entry.json) as Delta;
}
