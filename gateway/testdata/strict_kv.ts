import { serialize } from "node:v8";
import type { KvAtomic, KvDatabase, KvKey } from "../kv_database.ts";

/** What a {@linkcode strictKv} has seen at the most. */
export interface KvPeaks {
  keyBytes: number;
  valueBytes: number;
  writes: number;
  checks: number;
  atomicBytes: number;
  atomicKeyBytes: number;
  getKeys: number;
  batch: number;
}

/** Deno Deploy's limits. */
export const DEPLOY_LIMITS: Readonly<KvPeaks> = {
  keyBytes: 2_048,
  valueBytes: 65_536,
  writes: 1_000,
  checks: 100,
  atomicBytes: 819_200,
  atomicKeyBytes: 81_920,
  getKeys: 10,
  batch: 500,
};

const encoder = new TextEncoder();

/** The bytes of a key as KV encodes it. */
function keyBytes(key: KvKey): number {
  let size = 0;
  for (const part of key) {
    if (typeof part === "boolean") size += 1;
    else if (typeof part === "number") size += 9;
    else if (typeof part === "bigint") size += 2 + Math.ceil(part.toString(16).length / 2);
    else {
      const bytes = typeof part === "string" ? encoder.encode(part) : part;
      // A NUL is escaped by one byte more; the type and the end are one each.
      size += 2 + bytes.length + bytes.filter((byte) => byte === 0).length;
    }
  }
  return size;
}

/** A database that throws beyond Deno Deploy's limits, wherever it runs. */
export function strictKv(kv: KvDatabase): KvDatabase & { readonly peaks: KvPeaks } {
  const peaks: KvPeaks = {
    keyBytes: 0,
    valueBytes: 0,
    writes: 0,
    checks: 0,
    atomicBytes: 0,
    atomicKeyBytes: 0,
    getKeys: 0,
    batch: 0,
  };
  const see = (name: keyof KvPeaks, value: number): void => {
    peaks[name] = Math.max(peaks[name], value);
    if (value > DEPLOY_LIMITS[name]) throw new TypeError(`Too much: ${name} ${value}`);
  };
  const strictAtomic = (atomic: KvAtomic): KvAtomic => {
    let writes = 0;
    let checks = 0;
    let bytes = 0;
    let keys = 0;
    const addKey = (key: KvKey): void => {
      const size = keyBytes(key);
      see("keyBytes", size);
      keys += size;
      bytes += size;
    };
    const strict: KvAtomic = {
      check(check) {
        checks++;
        addKey(check.key);
        atomic.check(check);
        return strict;
      },
      set(key, value) {
        writes++;
        addKey(key);
        const size = serialize(value).length;
        see("valueBytes", size);
        bytes += size;
        atomic.set(key, value);
        return strict;
      },
      delete(key) {
        writes++;
        addKey(key);
        atomic.delete(key);
        return strict;
      },
      async commit() {
        see("writes", writes);
        see("checks", checks);
        see("atomicBytes", bytes);
        see("atomicKeyBytes", keys);
        return await atomic.commit();
      },
    };
    return strict;
  };
  return {
    peaks,
    async get(key) {
      see("keyBytes", keyBytes(key));
      return await kv.get(key);
    },
    async getMany(keys) {
      see("getKeys", keys.length);
      return await kv.getMany(keys);
    },
    list(selector, options = {}) {
      see("batch", options.batchSize ?? 100);
      return kv.list(selector, options);
    },
    atomic: () => strictAtomic(kv.atomic()),
    watch: (keys) => kv.watch(keys),
    close: () => kv.close(),
  };
}
