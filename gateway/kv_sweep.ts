import { collectBlobs } from "./kv_blob.ts";
import { type KvKey, removeAll } from "./kv_database.ts";
import { type KvContext, updateHead } from "./kv_head.ts";
import { type OldRecord, pieceKeys } from "./kv_rows.ts";

/** So many keys are removed together. */
const STEP = 500;

/**
 * Removes what nobody will read any more: former records of rows that no open snapshot needs, pieces
 * of large rows among them, and what crashed writers have staged. Costs what it removes.
 *
 * @param context The store.
 * @param now The store's clock, in ms.
 */
export async function sweepKv(context: KvContext, now: number): Promise<void> {
  await collectOld(context, now);
  await collectBlobs(context, now);
}

async function collectOld(context: KvContext, now: number): Promise<void> {
  const { kv, keys } = context;
  // A pin that has run out goes from the head first: from then on nobody can renew it.
  const { head } = await updateHead(context, ({ head }) => {
    const pins = head.pins.filter(({ until }) => until > now);
    return Promise.resolve(pins.length === head.pins.length ? undefined : { head: { pins } });
  });
  // A snapshot that is taken from now on pins a greater version.
  const through = Math.min(head.version, ...head.pins.map(({ version }) => version));
  let gone: KvKey[] = [];
  for await (const { key, value } of kv.list(keys.olds(), { batchSize: 16 })) {
    const [table, rowId, version] = key.slice(-3) as [string, string, number];
    if (version > through) continue;
    const { record } = value as OldRecord;
    const pieces = record === undefined ? [] : pieceKeys(context, { table, rowId }, record);
    // The record behind its pieces: where this breaks off, it still names those that are left.
    gone.push(...pieces, keys.old(table, rowId, version));
    if (gone.length < STEP) continue;
    await removeAll(kv, gone);
    gone = [];
  }
  await removeAll(kv, gone);
}
