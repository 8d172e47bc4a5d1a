import { compareHlc, type RowWrite } from "@lakesync/core";
import { deltaOf, type KvLogEntry } from "./kv_chunk.ts";
import { getAll, type KvWrite } from "./kv_database.ts";
import type { KvContext, KvHead } from "./kv_head.ts";
import type { KvClient, KvDelta } from "./kv_known.ts";
import { type KvRow, rowWrites } from "./kv_rows.ts";
import { rowKey } from "./working_rows.ts";

/** Visible rows of a table. */
export interface KvCount {
  /** The seq of the last entry that it counts. */
  readonly seq: number;
  /** How many. */
  readonly rows: number;
}

/** What derived records were before an append. */
export interface Former {
  /** The rows that it changes. */
  readonly rows: ReadonlyMap<string, KvRow>;
  /** The clients that made or pushed its deltas. */
  readonly clients: ReadonlyMap<string, KvClient>;
  /** The tables of its entries. */
  readonly tables: ReadonlyMap<string, KvCount>;
}

/** An append in the log, of which everything else is derived. */
export interface LoggedAppend {
  /** Its entries in chunks. */
  readonly chunks: readonly (readonly KvLogEntry[])[];
  /** The rows as they are after it; each with the seq of its last entry. */
  readonly rows: readonly (RowWrite & { readonly seq: number })[];
  /** Who pushed, and the least seq of each one's push. */
  readonly pushers: ReadonlyMap<string, number>;
  /** The head's last seq with it. */
  readonly seq: number;
}

/** Reads the counts of tables. */
export async function readCounts(
  { kv, keys }: KvContext,
  tables: Iterable<string>,
): Promise<Map<string, KvCount>> {
  const names = [...new Set(tables)];
  const counts = new Map<string, KvCount>();
  const entries = await getAll(kv, names.map((name) => keys.table(name)));
  entries.forEach(({ value }, i) => {
    if (value !== null) counts.set(names[i]!, value as KvCount);
  });
  return counts;
}

/**
 * The records that follow from an append. What carries its seqs already is left as it is, so
 * deriving again after a crash, or twice at once, comes to the same.
 *
 * @param context The store.
 * @param append The append.
 * @param options What the records were before, and the head on which they are written.
 * @returns The writes, in an order in which they may break off anywhere.
 */
export function deriveWrites(
  context: KvContext,
  append: LoggedAppend,
  options: { former: Former; head: KvHead },
): KvWrite[] {
  const { former, head } = options;
  const writes: KvWrite[] = [];
  for (const row of append.rows) {
    const held = former.rows.get(rowKey(row.table, row.rowId));
    if (held !== undefined && held.seq >= row.seq) continue;
    const pinned = head.pins.length > 0;
    const place = { record: held?.record, version: head.version + 1, pinned };
    writes.push(...rowWrites(context, row, place));
  }
  return [
    ...writes,
    ...countWrites(context, append, former),
    ...append.chunks.flatMap((entries) => indexWrites(context, entries)),
    ...clientWrites(context, append, former),
  ];
}

function countWrites({ keys }: KvContext, append: LoggedAppend, former: Former): KvWrite[] {
  const changes = new Map<string, number>();
  for (const { entry } of append.chunks.flat()) {
    const { table, effect: { before, after, last } } = entry;
    const change = last ? Number(after === "alive") - Number(before === "alive") : 0;
    changes.set(table, (changes.get(table) ?? 0) + change);
  }
  for (const { table } of append.rows) changes.set(table, changes.get(table) ?? 0);
  return [...changes].flatMap(([table, change]) => {
    const held = former.tables.get(table);
    if (held !== undefined && (held.seq >= append.seq || change === 0)) return [];
    const count: KvCount = { seq: append.seq, rows: (held?.rows ?? 0) + change };
    return [{ key: keys.table(table), value: count }];
  });
}

/** What finds the entries of a chunk by their keys and by their deltas' stamps. */
function indexWrites({ keys }: KvContext, entries: readonly KvLogEntry[]): KvWrite[] {
  const { last, keyed, stamps, late } = indexOf(entries);
  return [
    ...[...keyed].map(([key, seqs]) => ({ key: keys.index(key, last), value: seqs })),
    ...[...stamps].map(([clientId, hlc]) => ({ key: keys.stamps(clientId, hlc), value: last })),
    ...late.map((entry) => ({
      key: keys.delta(deltaOf(entry)),
      value: { seq: entry.entry.seq, pusher: entry.pusher } satisfies KvDelta,
    })),
  ];
}

/**
 * The writes that remove what {@linkcode deriveWrites} wrote for a chunk.
 *
 * @param context The store.
 * @param entries The chunk's entries.
 * @param stays Entries whose deltas are to be found by records of their own.
 * @returns The writes.
 */
export function indexRemovals(
  { keys }: KvContext,
  entries: readonly KvLogEntry[],
  stays: ReadonlySet<KvLogEntry>,
): KvWrite[] {
  const { last, keyed, stamps, late } = indexOf(entries);
  const gone = [
    ...[...keyed.keys()].map((key) => keys.index(key, last)),
    ...[...stamps].map(([clientId, hlc]) => keys.stamps(clientId, hlc)),
    ...late.filter((entry) => !stays.has(entry)).map((entry) => keys.delta(deltaOf(entry))),
  ];
  return gone.map((key) => ({ key, value: undefined }));
}

/** What a chunk's entries are found by. */
function indexOf(entries: readonly KvLogEntry[]): {
  last: number;
  keyed: Map<string, number[]>;
  /** Each client's greatest stamp among those that are not late. */
  stamps: Map<string, string>;
  late: KvLogEntry[];
} {
  const keyed = new Map<string, number[]>();
  const stamps = new Map<string, string>();
  for (const item of entries) {
    for (const key of item.keys) {
      const seqs = keyed.get(key);
      if (seqs === undefined) keyed.set(key, [item.entry.seq]);
      else seqs.push(item.entry.seq);
    }
    if (!item.late) stamps.set(item.entry.clientId, deltaOf(item).hlc);
  }
  const late = entries.filter((item) => item.late);
  return { last: entries.at(-1)!.entry.seq, keyed, stamps, late };
}

function clientWrites({ keys }: KvContext, append: LoggedAppend, former: Former): KvWrite[] {
  const greatest = new Map<string, string>();
  for (const { clientId, hlc } of append.chunks.flat().map(deltaOf)) {
    const held = greatest.get(clientId) ?? former.clients.get(clientId)?.greatest;
    greatest.set(clientId, held === undefined || compareHlc(hlc, held) > 0 ? hlc : held);
  }
  const writes: KvWrite[] = [];
  for (const clientId of new Set([...greatest.keys(), ...append.pushers.keys()])) {
    const held = former.clients.get(clientId);
    const from = append.pushers.get(clientId);
    // What was kept of its former push may go: said first, so that no crash forgets it.
    if (!greatest.has(clientId) && from === held?.from) continue;
    const drops = from !== undefined && held?.kept === true;
    if (drops) writes.push({ key: keys.drop(clientId), value: clientId });
    const client: KvClient = {
      greatest: greatest.get(clientId) ?? held?.greatest,
      from: from ?? held?.from,
      kept: drops ? false : held?.kept ?? false,
    };
    writes.push({ key: keys.client(clientId), value: client });
  }
  return writes;
}
