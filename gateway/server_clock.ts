import { type Hlc, type LogStore, ok, packHlc, type Result } from "@lakesync/core";

/**
 * The stamp that answers carry as `serverHlc`: the store's clock, which never goes back, also over a
 * restart, and which all instances share. It has no counter, so that two instances that answer
 * within one millisecond agree; it takes no notice of clients' stamps, so that no client can push
 * it ahead.
 *
 * @param store The store.
 * @returns The stamp; the store's error.
 */
export async function serverStamp(store: LogStore): Promise<Result<Hlc>> {
  const now = await store.now();
  return now.ok ? ok(packHlc({ wallMs: Math.max(1, now.value), counter: 0 })) : now;
}
