import { LakeSyncError } from "@lakesync/core";
import { type BlobRef, cutBytes, joinBytes, readBlob, removeBlob, stageBlob } from "./kv_blob.ts";
import { getAll, type KvWrite, VALUE_BYTES } from "./kv_database.ts";
import type { HeadWrite, KvContext } from "./kv_head.ts";

/** A value as it is stored: its UTF-8, or where that is. */
export type StoredValue = Uint8Array | BlobRef;

/** A value may have so many bytes: its pieces are removed within one atomic. */
const MAX_BYTES = 16 * 2 ** 20;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Values by key, with what is stored there. */
export type StoredValues = ReadonlyMap<string, { text: string; stored: StoredValue }>;

/**
 * Reads values.
 *
 * @param context The store.
 * @param keys Their keys.
 * @returns Those that are there.
 */
export async function readValues(
  context: KvContext,
  keys: Iterable<string>,
): Promise<Map<string, { text: string; stored: StoredValue }>> {
  const wanted = [...new Set(keys)];
  const values = new Map<string, { text: string; stored: StoredValue }>();
  const entries = await getAll(context.kv, wanted.map((key) => context.keys.value(key)));
  for (const [i, { value }] of entries.entries()) {
    if (value === null) continue;
    const stored = value as StoredValue;
    const bytes = stored instanceof Uint8Array ? stored : await readLarge(context, stored);
    values.set(wanted[i]!, { text: decoder.decode(bytes), stored });
  }
  return values;
}

async function readLarge(context: KvContext, ref: BlobRef): Promise<Uint8Array> {
  const pieces = await readBlob(context, ref);
  if (pieces !== undefined) return joinBytes(pieces);
  // Somebody has just set another value: the caller looks again.
  throw new LakeSyncError("STORAGE_ERROR", "The value was replaced while it was read: repeat it");
}

/**
 * What sets values in one atomic; large ones are staged for it.
 *
 * @param context The store.
 * @param values The values; null removes one.
 * @param former What is stored under those keys; all of them must have been read.
 * @param now The store's clock, in ms.
 * @returns The writes and the checks that go into the atomic.
 */
export async function valueWrites(
  context: KvContext,
  values: ReadonlyMap<string, string | null>,
  options: { former: StoredValues; now: number },
): Promise<Required<HeadWrite>> {
  const writes: KvWrite[] = [];
  const checks: Required<HeadWrite>["checks"][number][] = [];
  for (const [name, text] of values) {
    const key = context.keys.value(name);
    const stored = options.former.get(name)?.stored;
    if (stored !== undefined && !(stored instanceof Uint8Array)) {
      writes.push(...removeBlob(context, stored));
    }
    if (text === null) {
      writes.push({ key, value: undefined });
      continue;
    }
    const bytes = encoder.encode(text);
    if (bytes.length > MAX_BYTES) {
      throw new LakeSyncError(
        "PAYLOAD_TOO_LARGE",
        `Cannot set "${name}": a value may have ${MAX_BYTES} bytes in Deno KV, make it smaller`,
      );
    }
    if (bytes.length <= VALUE_BYTES) writes.push({ key, value: bytes });
    else {
      const { id, pieces, check, publish } = await stageBlob(
        context,
        cutBytes(bytes),
        options.now,
      );
      checks.push(check);
      writes.push(publish, { key, value: { id, pieces } satisfies BlobRef });
    }
  }
  return { writes, checks };
}
