import { LakeSyncError } from "@lakesync/core";
import type { KvContext } from "./kv_head.ts";

/** How everything of a store is written. */
const FORMAT = 1;

/** What a store was made with. */
interface KvMeta {
  readonly format: number;
  readonly epoch: string;
}

/**
 * The epoch of a store, which is made where there is none. Of several instances that open it at once,
 * one makes it.
 *
 * @param context The store.
 * @returns The epoch.
 * @throws {LakeSyncError} `CORRUPT` where a newer version of LakeSync has written the store.
 */
export async function openEpoch({ kv, keys, random }: KvContext): Promise<string> {
  for (;;) {
    const { value } = await kv.get(keys.meta);
    if (value !== null) {
      const { format, epoch } = value as KvMeta;
      if (format <= FORMAT) return epoch;
      throw new LakeSyncError(
        "CORRUPT",
        `Cannot open the log in Deno KV: its format is ${format} and this version knows ${FORMAT}. It was left as it is; start a newer version of LakeSync`,
      );
    }
    const made: KvMeta = { format: FORMAT, epoch: random.uuid() };
    await kv.atomic().check({ key: keys.meta, versionstamp: null }).set(keys.meta, made).commit();
  }
}
