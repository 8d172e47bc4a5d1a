import { Buffer } from "node:buffer";
import {
  type Delta,
  encodeRow,
  err,
  LakeSyncError,
  type LogEntry,
  type LogPosition,
  type LogStore,
  ok,
  type Result,
  type RowFacts,
  type RowKey,
} from "@lakesync/core";
import { trimmedError } from "./store_error.ts";
import { tableKey } from "./table_key.ts";
import { nextTurn } from "./turn.ts";

/** What a caller may see and asked for. */
export interface PageFilter {
  /** The caller's own database, whose deltas come as OWN; undefined for everything as it is. */
  readonly own: string | undefined;
  /** Only these tables; undefined for all. */
  readonly tables: ReadonlySet<string> | undefined;
  /**
   * What all entries that may reach the caller are found by; undefined for the keys of its tables.
   *
   * @default {undefined}
   */
  readonly keys?: readonly string[];
  /**
   * Whether the rules let a row through that is alive, by what they look at in it.
   *
   * @default {() => true}
   */
  readonly sees?: (row: RowKey, facts: RowFacts | undefined) => boolean;
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
 * @param options What the caller may see, and how much of it; and where the log is to end, which is
 * its head else.
 * @returns The page, which ends between transactions.
 */
export async function readPage(
  store: LogStore,
  after: LogPosition,
  options: { filter: PageFilter; size: PageSize; head?: LogPosition },
): Promise<Result<Page>> {
  const { filter, size } = options;
  const items: string[] = [];
  const keys = filter.keys ?? (filter.tables && [...filter.tables].map(tableKey));
  const head = options.head === undefined ? await store.head() : ok(options.head);
  if (!head.ok) return head;
  let bytes = 0;
  // The head ends a transaction: whole ones are appended. Once the page is full, its last one's end.
  let through = head.value.seq;
  let last: LogEntry | undefined;
  for (let readTo = after.seq; readTo < through;) {
    const read = await store.read(readTo, {
      limit: READ_LIMIT,
      maxChars: size.maxBytes,
      through,
      ...(keys !== undefined && { keys }),
    });
    if (!read.ok) return read;
    for (const entry of read.value) {
      readTo = Math.min(entry.seq, through);
      if (entry.seq > through) break;
      last = entry;
      const item = itemOf(entry, filter);
      if (item === undefined) continue;
      items.push(item);
      bytes += Buffer.byteLength(item);
      if (items.length >= size.limit || bytes >= size.maxBytes) through = entry.txLast;
    }
    if (read.value.length === 0) break;
    // A long way through entries that this caller does not get must not hold up the others.
    if (read.value.length === READ_LIMIT) await new Promise<void>(nextTurn);
  }
  const hasMore = through < head.value.seq;
  if (!hasMore) return ok({ items, position: head.value, hasMore });
  const hash = last?.seq === through ? ok(last.hash) : await store.hashAt(through);
  if (!hash.ok) return hash;
  // A trim may have overtaken the page.
  if (hash.value === undefined) return err(trimmedError(through, through));
  return ok({ items, position: { seq: through, hash: hash.value }, hasMore });
}

/** The item by which an entry reaches a caller, or undefined where it does not. */
function itemOf(entry: LogEntry, filter: PageFilter): string | undefined {
  if (filter.tables !== undefined && !filter.tables.has(entry.table)) return undefined;
  const { sees = seesAll } = filter;
  const { before, after, last, life, columns, state, judged } = entry.effect;
  const was = before === "alive" && sees(entry, judged?.before);
  const is = after === "alive" && sees(entry, judged?.after);
  if (is && (was || before === "none")) {
    return life || columns === undefined || columns.length > 0
      ? deltaItem(entry, filter)
      : undefined;
  }
  if (!last || was === is) return undefined;
  const { txId, table, rowId } = rowAndTx(entry);
  if (!is) {
    return JSON.stringify({ op: after === "dead" ? "DELETE" : "REMOVE", table, rowId, txId });
  }
  if (state === undefined) {
    throw new LakeSyncError(
      "CORRUPT",
      `Entry ${entry.seq} lacks its row: restore a backup of the log`,
    );
  }
  return JSON.stringify({ op: "ENTER", ...encodeRow({ table, rowId, state }), txId });
}

function seesAll(): boolean {
  return true;
}

function deltaItem(entry: LogEntry, filter: PageFilter): string {
  if (filter.own === entry.clientId) return ownItem(entry);
  const won = entry.effect.columns;
  if (won === undefined) return entry.json;
  const delta = parse(entry);
  return JSON.stringify({
    ...delta,
    columns: delta.columns.filter(({ column }) => won.includes(column)),
  });
}

/** A delta's text as JSON.stringify makes it ends so: no string in it has a bare quotation mark. */
const DELTA_END = /,"deltaId":"([0-9a-f]{64})"(,"txId":"(?:[^"\\]|\\.)*")?}$/;

function ownItem(entry: LogEntry): string {
  // Nothing but these two is needed of it: to parse it would take many times as long.
  const end = DELTA_END.exec(entry.json);
  if (end !== null) return `{"op":"OWN","deltaId":"${end[1]!}"${end[2] ?? ""}}`;
  const { deltaId, txId } = parse(entry);
  return JSON.stringify({ op: "OWN", deltaId, txId });
}

function rowAndTx(entry: LogEntry): { table: string; rowId: string; txId: string | undefined } {
  return { table: entry.table, rowId: entry.rowId, txId: parse(entry).txId };
}

function parse(entry: LogEntry): Delta {
  return JSON.parse(entry.json) as Delta;
}
