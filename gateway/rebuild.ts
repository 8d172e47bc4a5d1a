import { createHash } from "node:crypto";
import {
  type ColumnChange,
  type Delta,
  deltaIdText,
  type FlushBatch,
  type FlushEntry,
  type FlushTable,
  type LogSnapshot,
  type LogStore,
  ok,
  type Result,
  type RowWrite,
} from "@lakesync/core";

/** A batch that brings a destination's new tables to a position that the log no longer reaches back from. */
export interface Rebuild {
  /** The batch. */
  readonly batch: FlushBatch;
  /** What it reads from. To be closed when the batch is written. */
  readonly snapshot: LogSnapshot;
}

/**
 * Plans the rebuilding of tables from the rows as they are (PROTOCOL, section 7): what a destination
 * lacks is trimmed, so it gets each register that still counts, with the stamp that it was written with.
 *
 * Only for tables that are empty: what was deleted before the trim is not known any more.
 *
 * @param store The log.
 * @param options The tables, and what stops it.
 * @returns The batch.
 */
export async function planRebuild(
  store: LogStore,
  options: { tables: ReadonlyMap<string, FlushTable>; signal: AbortSignal | undefined },
): Promise<Result<Rebuild>> {
  const { tables, signal } = options;
  const now = await store.now();
  if (!now.ok) return now;
  const snapshot = await store.snapshot();
  if (!snapshot.ok) return snapshot;
  const { seq, hash } = snapshot.value.position;
  const place = { seq, at: now.value };
  const batch: FlushBatch = {
    id: `${store.epoch}-rows-${seq}`,
    to: { epoch: store.epoch, seq, hash },
    tables,
    entries: readRows(snapshot.value, { tables: [...tables.keys()], place }),
    ...(signal !== undefined && { signal }),
  };
  return ok({ batch, snapshot: snapshot.value });
}

async function* readRows(
  snapshot: LogSnapshot,
  options: { tables: readonly string[]; place: { seq: number; at: number } },
): AsyncGenerator<readonly FlushEntry[]> {
  for await (const rows of snapshot.rows(options.tables)) {
    const entries: FlushEntry[] = [];
    for (const row of rows) {
      for (const delta of deltasOf(row)) entries.push({ ...options.place, delta });
    }
    yield entries;
  }
}

/**
 * The deltas whose merge is a row's state: its life, and a delta for each further stamp.
 *
 * @param row The row.
 * @returns The deltas; a dead row's DELETE too, lest a late delta brings it back.
 */
export function deltasOf(row: RowWrite): Delta[] {
  const { table, rowId, state: { life, columns } } = row;
  const byStamp = new Map<string, Omit<Delta, "deltaId"> & { columns: ColumnChange[] }>();
  if (life !== undefined) {
    const { alive, hlc, clientId } = life;
    const op = alive ? "INSERT" : "DELETE";
    // A DELETE has no columns: one of its very stamp is an UPDATE's.
    const stamp = alive ? `${hlc} ${clientId}` : "";
    byStamp.set(stamp, { op, table, rowId, clientId, hlc, columns: [] });
  }
  for (const [column, [value, hlc, clientId]] of columns) {
    const stamp = `${hlc} ${clientId}`;
    let delta = byStamp.get(stamp);
    if (delta === undefined) {
      delta = { op: "UPDATE", table, rowId, clientId, hlc, columns: [] };
      byStamp.set(stamp, delta);
    }
    delta.columns.push({ column, value });
  }
  return [...byStamp.values()].map((delta) => ({
    ...delta,
    deltaId: createHash("sha256").update(deltaIdText(delta)).digest("hex"),
  }));
}
