import { LakeSyncError } from "@lakesync/core";
import {
  addWrites,
  getAll,
  type KvCheck,
  type KvKey,
  type KvWrite,
  removeAll,
  splitWrites,
  VALUE_BYTES,
} from "./kv_database.ts";
import type { KvContext } from "./kv_head.ts";

/** Names the pieces of something that is larger than a value. */
export interface BlobRef {
  /** The blob. */
  readonly id: string;
  /** How many pieces it has. */
  readonly pieces: number;
}

/** A blob that is written, and seen by nobody yet. */
export interface StagedBlob extends BlobRef {
  /** Holds as long as nobody has collected it. */
  readonly check: KvCheck;
  /** Makes it stay; goes into the atomic that names it. */
  readonly publish: KvWrite;
}

interface Pending {
  /** When it began. */
  readonly at: number;
  /** Whether its writer has lost it. */
  readonly lost: boolean;
}

/** A blob that was not published by then is collected. */
const ABANDONED_MS = 10 * 60_000;

/** Cuts bytes into values. */
export function cutBytes(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += VALUE_BYTES) {
    pieces.push(bytes.slice(start, start + VALUE_BYTES));
  }
  return pieces;
}

/** Puts pieces together. */
export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/**
 * Writes a blob without showing it to anybody.
 *
 * @param context The store.
 * @param pieces Its pieces, each a value.
 * @param now The store's clock, in ms.
 * @returns The blob; it throws where it was collected meanwhile.
 */
export async function stageBlob(
  context: KvContext,
  pieces: readonly Uint8Array[],
  now: number,
): Promise<StagedBlob> {
  const { kv, keys, random } = context;
  const id = random.uuid();
  const pending: Pending = { at: now, lost: false };
  const begun = await kv.atomic().set(keys.pending(id), pending).commit();
  const check = { key: keys.pending(id), versionstamp: begun.versionstamp ?? null };
  const writes = pieces.map((value, i) => ({ key: keys.blob(id, i), value }));
  for (const run of splitWrites(writes)) {
    const done = await addWrites(kv.atomic().check(check), run).commit();
    if (!done.ok) {
      throw new LakeSyncError(
        "STORAGE_ERROR",
        "The append took so long that its pieces were collected: repeat it",
      );
    }
  }
  return {
    id,
    pieces: pieces.length,
    check,
    publish: { key: check.key, value: undefined },
  };
}

/** The writes that remove a published blob. */
export function removeBlob({ keys }: KvContext, { id, pieces }: BlobRef): KvWrite[] {
  return Array.from({ length: pieces }, (_, i) => ({ key: keys.blob(id, i), value: undefined }));
}

/** Reads pieces; undefined where one of them is not there (any more). */
export async function readPieces(
  { kv }: KvContext,
  keys: readonly KvKey[],
): Promise<Uint8Array[] | undefined> {
  const pieces = (await getAll(kv, keys)).map(({ value }) => value);
  return pieces.every((piece) => piece instanceof Uint8Array) ? pieces : undefined;
}

/** Reads the pieces of a published blob. */
export function readBlob(context: KvContext, ref: BlobRef): Promise<Uint8Array[] | undefined> {
  return readPieces(context, removeBlob(context, ref).map(({ key }) => key));
}

/**
 * Removes what crashed writers have left behind.
 *
 * @param context The store.
 * @param now The store's clock, in ms.
 */
export async function collectBlobs(context: KvContext, now: number): Promise<void> {
  const { kv, keys } = context;
  for await (const { key, value, versionstamp } of kv.list(keys.pendings(), { batchSize: 100 })) {
    const id = key.at(-1) as string;
    const pending = value as Pending;
    if (!pending.lost) {
      if (pending.at + ABANDONED_MS > now) continue;
      // From here on each atomic of its writer fails, so no piece comes behind our back.
      const lost: Pending = { ...pending, lost: true };
      const done = await kv.atomic().check({ key: keys.pending(id), versionstamp })
        .set(keys.pending(id), lost).commit();
      if (!done.ok) continue;
    }
    await collect(context, id);
  }
}

async function collect({ kv, keys }: KvContext, id: string): Promise<void> {
  const gone: KvKey[] = [];
  // Keys only would do, but KV gives the values along: few at a time.
  for await (const { key } of kv.list(keys.blobs(id), { batchSize: 16 })) {
    gone.push(keys.blob(id, key.at(-1) as number));
  }
  await removeAll(kv, [...gone, keys.pending(id)]);
}
