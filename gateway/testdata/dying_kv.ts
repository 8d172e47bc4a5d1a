import type { KvAtomic, KvDatabase } from "../kv_database.ts";

/** When a {@linkcode dyingKv} dies. */
export interface Death {
  /** At which write, the first is 1. */
  readonly at: number;
  /** Whether that write is still done. */
  readonly done: boolean;
}

/**
 * A database in front of another one, for a process that dies: from one write on, nothing it does
 * has an effect or an answer.
 */
export function dyingKv(kv: KvDatabase, death: Death): KvDatabase & { readonly writes: number } {
  let writes = 0;
  const live = (): void => {
    if (writes >= death.at) throw new Error("The process is dead");
  };
  const dyingAtomic = (atomic: KvAtomic): KvAtomic => {
    const same: KvAtomic = {
      check: (check) => (atomic.check(check), same),
      set: (key, value) => (atomic.set(key, value), same),
      delete: (key) => (atomic.delete(key), same),
      async commit() {
        live();
        writes++;
        if (writes === death.at) {
          if (death.done) await atomic.commit();
          live();
        }
        return await atomic.commit();
      },
    };
    return same;
  };
  return {
    get writes() {
      return writes;
    },
    async get(key) {
      live();
      return await kv.get(key);
    },
    async getMany(keys) {
      live();
      return await kv.getMany(keys);
    },
    async *list(selector, options) {
      for await (const entry of kv.list(selector, options)) {
        live();
        yield entry;
      }
    },
    atomic: () => dyingAtomic(kv.atomic()),
    watch: (keys) => kv.watch(keys),
    close: () => {},
  };
}
