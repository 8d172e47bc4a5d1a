// What must hold of a log in Deno KV, found without the store's own reading where that is possible.
import { assert, assertEquals } from "@std/assert";
import {
  cloneRow,
  type Delta,
  emptyRow,
  type LogEntry,
  type LogSnapshot,
  type LogStore,
  mergeDelta,
  type RowState,
  unwrapOrThrow,
} from "@lakesync/core";
import type { KvDatabase } from "../kv_database.ts";
import type { KvHead } from "../kv_head.ts";
import type { KvDirectory } from "../kv_log.ts";
import type { RowRecord } from "../kv_rows.ts";
import { EMPTY_HASH, extendHash, hashText } from "../log_hash.ts";

/** The deltas of a log, all of it. */
export async function readDeltas(store: LogStore, after = 0): Promise<Delta[]> {
  return (await readEntries(store, after)).map(({ json }) => JSON.parse(json) as Delta);
}

async function readEntries(store: LogStore, after: number): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for (let from = after;;) {
    const page = unwrapOrThrow(await store.read(from, { limit: 1000 }));
    if (page.length === 0) return entries;
    entries.push(...page);
    from = page.at(-1)!.seq;
  }
}

/** All rows of a new snapshot by `table/rowId`. */
export async function readState(store: LogStore): Promise<Map<string, RowState>> {
  return await readSnapshot(unwrapOrThrow(await store.snapshot()));
}

/** A snapshot's rows by `table/rowId`; closes it. */
export async function readSnapshot(snapshot: LogSnapshot): Promise<Map<string, RowState>> {
  const rows = new Map<string, RowState>();
  for await (const chunk of snapshot.rows()) {
    for (const { table, rowId, state } of chunk) {
      assert(!rows.has(`${table}/${rowId}`), "a row came twice");
      rows.set(`${table}/${rowId}`, state);
    }
  }
  await snapshot.close();
  return rows;
}

/** Merges deltas by the protocol's rule alone. */
export function mergeAll(deltas: readonly Delta[]): Map<string, RowState> {
  const rows = new Map<string, RowState>();
  for (const delta of deltas) {
    const key = `${delta.table}/${delta.rowId}`;
    const row = rows.get(key) ?? emptyRow();
    rows.set(key, row);
    mergeDelta(row, delta);
  }
  return rows;
}

/** Asserts that seqs, hashes, rows, counts and key lookups of an untrimmed log fit its deltas. */
export async function checkLog(store: LogStore): Promise<Delta[]> {
  const entries = await readEntries(store, 0);
  let hash = EMPTY_HASH;
  entries.forEach((entry, i) => {
    const delta = JSON.parse(entry.json) as Delta;
    hash = extendHash(hash, delta.deltaId);
    assertEquals([entry.seq, entry.hash], [i + 1, hashText(hash)]);
    assert(entry.txLast >= entry.seq && entry.txLast <= entries.length);
  });
  assertEquals(unwrapOrThrow(await store.head()), { seq: entries.length, hash: hashText(hash) });
  const deltas = entries.map(({ json }) => JSON.parse(json) as Delta);
  const ids = new Set(deltas.map(({ deltaId }) => deltaId));
  assertEquals(ids.size, deltas.length, "a delta is there twice");
  const rows = mergeAll(deltas);
  assertEquals(sorted(await readState(store)), sorted(rows));
  const visible = new Map<string, number>();
  for (const [key, { life }] of rows) {
    const table = key.split("/")[0]!;
    visible.set(table, (visible.get(table) ?? 0) + Number(life?.alive === true));
  }
  const stats = unwrapOrThrow(await store.stats());
  assertEquals(new Map([...stats.rows].sort()), new Map([...visible].sort()));
  return deltas;
}

function sorted(rows: ReadonlyMap<string, RowState>): [string, RowState][] {
  return [...rows].map(([key, row]): [string, RowState] => [key, cloneRow(row)])
    .sort(([a], [b]) => a < b ? -1 : 1);
}

/** Asserts that nothing lies in the database that nobody will ever read or remove. */
export async function checkNoGarbage(kv: KvDatabase): Promise<void> {
  const blobs = new Map<string, number>();
  const pieces = new Map<string, number>();
  const found = new Map<string, number>();
  const count = (of: Map<string, number>, key: string) => of.set(key, (of.get(key) ?? 0) + 1);
  let head: KvHead | undefined;
  const strays: unknown[] = [];
  for await (const { key, value } of kv.list({ start: [], end: [true] })) {
    const [, , kind, ...rest] = key as string[];
    if (kind === "head") head = value as KvHead;
    if (kind === "log" && !(value instanceof Uint8Array)) {
      const { id, pieces } = value as KvDirectory;
      blobs.set(id, pieces);
    }
    if (kind === "value" && !(value instanceof Uint8Array)) {
      const { id, pieces } = value as { id: string; pieces: number };
      blobs.set(id, pieces);
    }
    if (kind === "row" && !(value instanceof Uint8Array)) {
      const record = value as Exclude<RowRecord, Uint8Array>;
      pieces.set(`${rest[0]}/${rest[1]}/${record.seq}`, record.pieces);
    }
    if (kind === "blob") count(found, `blob ${rest[0]}`);
    if (kind === "piece") count(found, `piece ${rest[0]}/${rest[1]}/${rest[2]}`);
    if (kind === "pending" || kind === "old" || kind === "drop") strays.push(key);
  }
  const named = new Map([
    ...[...blobs].map(([id, n]) => [`blob ${id}`, n] as const),
    ...[...pieces].map(([row, n]) => [`piece ${row}`, n] as const),
  ]);
  assertEquals(strays, []);
  assertEquals(new Map([...found].sort()), new Map([...named].sort()));
  assertEquals(head?.applied, head?.seq);
  assertEquals(head?.cleaned, head?.trimmed.seq);
}
