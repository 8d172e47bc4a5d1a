import { cloneRow, emptyRow, LakeSyncError, mergeDelta, type RowWrite } from "@lakesync/core";
import { deltaOf, type KvLogEntry } from "./kv_chunk.ts";
import { addWrites, type KvWrite, splitWrites } from "./kv_database.ts";
import { deriveWrites, readCounts } from "./kv_derive.ts";
import { checkHead, type HeadRead, type KvContext, readHead, writeHead } from "./kv_head.ts";
import { readClients } from "./kv_known.ts";
import type { KvLog } from "./kv_log.ts";
import { readRows } from "./kv_rows.ts";
import { patientHead } from "./kv_turn.ts";
import { rowKey } from "./working_rows.ts";

/** Whom {@linkcode settledHead} waits for. */
export interface SettleOptions {
  /**
   * Whether also for another's turn that leaves everything settled: an append does.
   *
   * @default {false}
   */
  readonly givesWay?: boolean;
  /**
   * The caller's own turn, for which it does not wait.
   *
   * @default {undefined}
   */
  readonly turn?: string | undefined;
}

/**
 * The head once everything follows the log up to it. Waits for who is about that, but not for ever:
 * then it does the rest itself.
 *
 * @param context The store.
 * @param log Its log.
 * @param options Whom it waits for.
 * @returns The head.
 */
export async function settledHead(
  context: KvContext,
  log: KvLog,
  options: SettleOptions = {},
): Promise<HeadRead> {
  const { givesWay = false, turn } = options;
  for (;;) {
    const read = await patientHead(
      context,
      ({ head }) => head.turn !== turn && (givesWay || head.applied !== head.seq),
    );
    if (read.head.applied === read.head.seq) return read;
    try {
      await applyRest(context, log, read);
    } catch (thrown) {
      // Read while another instance was at it: what was met half done is whole by now.
      if ((await readHead(context)).stamp === read.stamp) throw thrown;
    }
  }
}

/**
 * Writes what follows from the log's last append, in as many atomics as it takes.
 *
 * @param context The store.
 * @param read The head with that append.
 * @param writes The derived records.
 */
export async function applyWrites(
  context: KvContext,
  read: HeadRead,
  writes: readonly KvWrite[],
): Promise<void> {
  const runs = splitWrites(writes);
  let at: HeadRead | undefined = read;
  for (const [i, run] of runs.entries()) {
    for (let done = false; !done;) {
      if (i < runs.length - 1) {
        done = (await addWrites(checkHead(context, at), run).commit()).ok;
      } else {
        const change = { applied: at.head.seq, pusher: undefined, turn: undefined };
        done = await writeHead(context, at, change, { writes: run }) !== undefined;
      }
      if (done) break;
      at = await readHead(context);
      // Somebody else has done it.
      if (at.head.seq !== read.head.seq || at.head.applied === at.head.seq) return;
    }
  }
}

/** Derives from the log what a writer that is gone has left to do. */
async function applyRest(context: KvContext, log: KvLog, read: HeadRead): Promise<void> {
  const { applied, seq, pusher } = read.head;
  const chunks: (readonly KvLogEntry[])[] = [];
  for await (const chunk of log.read(applied, seq)) chunks.push(chunk);
  const items = chunks.flat();
  if (items.at(-1)?.entry.seq !== seq) {
    throw new LakeSyncError(
      "CORRUPT",
      `The log in Deno KV ends before entry ${seq}: restore a backup of the database`,
    );
  }
  const entries = items.map(({ entry }) => entry);
  const former = {
    rows: await readRows(context, entries),
    clients: await readClients(context, [
      ...entries.map(({ clientId }) => clientId),
      ...(pusher === undefined ? [] : [pusher.clientId]),
    ]),
    tables: await readCounts(context, entries.map(({ table }) => table)),
  };
  const rows = new Map<string, RowWrite & { seq: number }>();
  for (const item of items) {
    const { table, rowId, seq } = item.entry;
    const key = rowKey(table, rowId);
    const held = former.rows.get(key)?.state;
    const row = rows.get(key) ??
      { table, rowId, seq, state: held === undefined ? emptyRow() : cloneRow(held) };
    mergeDelta(row.state, deltaOf(item));
    row.seq = seq;
    rows.set(key, row);
  }
  const pushers = new Map(pusher === undefined ? [] : [[pusher.clientId, pusher.from] as const]);
  const append = { chunks, rows: [...rows.values()], pushers, seq };
  await applyWrites(context, read, deriveWrites(context, append, { former, head: read.head }));
}
