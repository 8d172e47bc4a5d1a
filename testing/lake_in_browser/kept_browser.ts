import { httpObjectStore, offlineObjectStore } from "@lakesync/adapter-http";
import { unwrapOrThrow } from "@lakesync/core";

/** Reads objects online, and gives the keys of those that can be read when there is no network. */
export async function keep(
  { keys, maxBytes }: { keys: readonly string[]; maxBytes: number },
): Promise<readonly string[]> {
  let online = true;
  const store = offlineObjectStore(
    httpObjectStore({
      url: `${location.origin}/lake`,
      fetch: (url, init) => online ? fetch(url, init) : Promise.reject(new TypeError("offline")),
    }),
    { maxBytes },
  );
  for (const key of keys) unwrapOrThrow(await store.get(key));
  online = false;
  const left: string[] = [];
  for (const key of keys) if ((await store.get(key)).ok) left.push(key);
  return left;
}
