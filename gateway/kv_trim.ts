import { compareStamps, type Stamp } from "@lakesync/core";
import { settledHead } from "./kv_apply.ts";
import { removeBlob } from "./kv_blob.ts";
import { deltaOf, type KvChunk, type KvLogEntry } from "./kv_chunk.ts";
import type { KvClock } from "./kv_clock.ts";
import { type KvWrite, removeAll, splitWrites } from "./kv_database.ts";
import { indexRemovals } from "./kv_derive.ts";
import {
  type HeadRead,
  type KvContext,
  type KvHead,
  type KvPosition,
  updateHead,
  writeHead,
} from "./kv_head.ts";
import { type KvClient, type KvDelta, readClients } from "./kv_known.ts";
import type { KvLog, KvLogRecord } from "./kv_log.ts";
import { readRows, rowRemoval } from "./kv_rows.ts";
import { sweepKv } from "./kv_sweep.ts";
import { endTurn, takeTurn } from "./kv_turn.ts";
import { greatestStamp } from "./row_stamp.ts";

/** What is trimmed. */
export interface KvTrimParts {
  /** The store. */
  readonly context: KvContext;
  /** Its log. */
  readonly log: KvLog;
  /** Its clock. */
  readonly clock: KvClock;
}

/** A delta of a last push that a trim has kept. */
interface KeptDelta {
  readonly clientId: string;
  readonly hlc: string;
  readonly deltaId: string;
  readonly seq: number;
}

/**
 * Trims the log, and removes what nobody needs any more: what was trimmed, former records of rows,
 * pieces of crashed appends. Where it breaks off, the next trim goes on.
 *
 * @param parts The store.
 * @param through The last seq that may go.
 */
export async function trimKvLog(parts: KvTrimParts, through: number): Promise<void> {
  const { context, log, clock } = parts;
  const { head } = await settledHead(context, log);
  const end = await lastTxEnd(log, { through: Math.min(through, head.seq), head });
  if (end !== undefined) {
    // First nobody reads the entries any more, then they go.
    await updateHead(
      context,
      ({ head }) =>
        Promise.resolve(head.trimmed.seq < end.seq ? { head: { trimmed: end } } : undefined),
    );
  }
  const { trimmed, cleaned } = (await settledHead(context, log)).head;
  if (cleaned < trimmed.seq) {
    for await (const record of log.records(cleaned + 1)) {
      if (!await cleanRecord(parts, record)) break;
    }
  }
  await dropKept(context);
  await sweepKv(context, await clock.now());
}

/** The last end of a transaction up to a seq; undefined where the log has none. */
async function lastTxEnd(
  log: KvLog,
  { through, head }: { through: number; head: KvHead },
): Promise<KvPosition | undefined> {
  for (let seq = through; seq > head.trimmed.seq;) {
    const chunk = await log.chunkAt(seq);
    if (chunk === undefined) return undefined;
    const end = chunk.entries.findLast(({ entry }) =>
      entry.seq <= through && entry.seq > head.trimmed.seq && entry.txLast === entry.seq
    );
    if (end !== undefined) return { seq: end.entry.seq, hash: Number.parseInt(end.entry.hash, 36) };
    seq = chunk.last - chunk.entries.length;
  }
  return undefined;
}

/** Removes what of a record is trimmed; false where that is not all of it. */
async function cleanRecord(parts: KvTrimParts, record: KvLogRecord): Promise<boolean> {
  for await (const { entries, last } of record.chunks()) {
    const { trimmed } = await cleanChunk(parts, record, { entries, last });
    if (last > trimmed.seq) return false;
    if (last === record.last) return true;
  }
  // A trim broke off while it removed the pieces; what hung on their entries was gone before.
  await cleanChunk(parts, record, { entries: [], last: record.last });
  return true;
}

/** Removes what of a chunk is trimmed, with all that hangs on its entries. */
async function cleanChunk(
  parts: KvTrimParts,
  record: KvLogRecord,
  chunk: Pick<KvChunk, "entries" | "last">,
): Promise<KvHead> {
  const { context, log } = parts;
  let turn: string | undefined;
  try {
    for (let tries = 0;; tries++) {
      // Appends would else always come between.
      if (tries > 0) turn ??= await takeTurn(context);
      const read = await settledHead(context, log, { turn });
      const { trimmed, cleaned } = read.head;
      const through = Math.min(chunk.last, trimmed.seq);
      if (through <= cleaned) return read.head;
      const { purged, writes } = await purge(context, read, chunk.entries);
      if (chunk.last <= trimmed.seq) writes.push(...await forget(context, chunk.entries));
      if (chunk.last === record.last && chunk.last <= trimmed.seq) {
        if (record.directory !== undefined) writes.push(...removeBlob(context, record.directory));
        writes.push({ key: context.keys.log(record.last), value: undefined });
      }
      const done = await writeAll(context, read, { writes, purged, cleaned: through });
      if (done !== undefined) return done;
    }
  } finally {
    await endTurn(context, turn);
  }
}

/** Writes in as many atomics as it takes; undefined where another writer came between. */
async function writeAll(
  context: KvContext,
  read: HeadRead,
  what: { writes: readonly KvWrite[]; purged: Stamp | undefined; cleaned: number },
): Promise<KvHead | undefined> {
  const { purged, cleaned } = what;
  const runs = splitWrites(what.writes);
  let at: HeadRead | undefined = read;
  for (const [i, writes] of runs.entries()) {
    const change = i === runs.length - 1 ? { purged, cleaned } : { purged };
    at = await writeHead(context, at, change, { writes });
    if (at === undefined) return undefined;
  }
  return at.head;
}

/** Removes the dead and lifeless rows whose last entry is trimmed. */
async function purge(
  context: KvContext,
  { head }: HeadRead,
  entries: readonly KvLogEntry[],
): Promise<{ purged: Stamp | undefined; writes: KvWrite[] }> {
  const gone = entries.map(({ entry }) => entry)
    .filter(({ seq, effect }) => seq <= head.trimmed.seq && effect.after !== "alive");
  let { purged } = head;
  const writes: KvWrite[] = [];
  // Few at a time, for rows may be large.
  for (let i = 0; i < gone.length; i += 8) {
    const rows = await readRows(context, gone.slice(i, i + 8), { maxBytes: Infinity });
    for (const row of rows.values()) {
      if (row.state.life?.alive === true || row.seq > head.trimmed.seq) continue;
      const stamp = greatestStamp(row.state);
      if (purged === undefined || compareStamps(stamp, purged) > 0) purged = stamp;
      const former = {
        record: row.record,
        version: head.version + 1,
        pinned: head.pins.length > 0,
      };
      writes.push(...rowRemoval(context, row, former));
    }
  }
  return { purged, writes };
}

/** Removes what finds a chunk's entries, but what is of a last push stays findable. */
async function forget(
  context: KvContext,
  entries: readonly KvLogEntry[],
): Promise<KvWrite[]> {
  if (entries.length === 0) return [];
  const { keys } = context;
  const { seq: last } = entries.at(-1)!.entry;
  const clients = await readClients(context, entries.map(({ pusher }) => pusher));
  const kept = Map.groupBy(
    entries.filter(({ entry, pusher }) => entry.seq >= (clients.get(pusher)?.from ?? Infinity)),
    ({ pusher }) => pusher,
  );
  const writes: KvWrite[] = [];
  for (const [pusher, items] of kept) {
    const deltas = items.map((item): KeptDelta => {
      const { clientId, hlc, deltaId } = deltaOf(item);
      return { clientId, hlc, deltaId, seq: item.entry.seq };
    });
    const client: KvClient = { ...clients.get(pusher)!, kept: true };
    writes.push(
      { key: keys.client(pusher), value: client },
      { key: keys.kept(pusher, last), value: deltas },
      ...deltas.map((delta) => ({
        key: keys.delta(delta),
        value: { seq: delta.seq, pusher } satisfies KvDelta,
      })),
    );
  }
  // What finds them anew stands before what found them goes.
  const stays = new Set([...kept.values()].flat());
  return [...writes, ...indexRemovals(context, entries, stays)];
}

/** Forgets the kept deltas of pushers that have pushed again since. */
async function dropKept(context: KvContext): Promise<void> {
  const { kv, keys } = context;
  for await (const { value, versionstamp } of kv.list(keys.drops(), { batchSize: 100 })) {
    const pusher = value as string;
    const from = (await readClients(context, [pusher])).get(pusher)?.from ?? 0;
    for await (const { key, value } of kv.list(keys.keptOf(pusher), { batchSize: 8 })) {
      const deltas = value as KeptDelta[];
      if (deltas.some(({ seq }) => seq >= from)) continue;
      const gone = [
        ...deltas.map((delta) => keys.delta(delta)),
        keys.kept(pusher, key.at(-1) as number),
      ];
      await removeAll(kv, gone);
    }
    const drop = keys.drop(pusher);
    await kv.atomic().check({ key: drop, versionstamp }).delete(drop).commit();
  }
}
