import {
  type AppendView,
  type Delta,
  type EntryEffect,
  type LogEntry,
  type LogStore,
  type NewEntry,
  ok,
  type Result,
} from "@lakesync/core";
import type { RulesInForce } from "./rules_registry.ts";
import { appendTransaction, WorkingRows } from "./working_rows.ts";

/** A longer past is not judged again: who stands in it takes a checkpoint. */
const MAX_ENTRIES = 50_000;
/** Nor one of more characters: its rows are in memory meanwhile, and some of them from then on. */
const MAX_CHARS = 16 * 2 ** 20;
const READ_LIMIT = 1_000;

/**
 * What the entries of before the rules did, as the rules see it. When they were appended nobody knew
 * what these rules look at; but while the log has its very beginning, that can be found out by going
 * through it once more.
 */
export class PastEffects {
  readonly #store: LogStore;
  readonly #found: WeakMap<RulesInForce, Promise<Result<LogStore | undefined>>> = new WeakMap();

  constructor(store: LogStore) {
    this.#store = store;
  }

  /**
   * A log in which all entries say what the rules in force look at.
   *
   * @param inForce The rules.
   * @returns The log; undefined where its beginning is trimmed or its past too long or too large.
   */
  judgedBy(inForce: RulesInForce): Promise<Result<LogStore | undefined>> {
    const held = this.#found.get(inForce);
    if (held !== undefined) return held;
    const finding = this.#find(inForce);
    this.#found.set(inForce, finding);
    const forget = () => this.#found.delete(inForce);
    finding.then((found) => found.ok || forget(), forget);
    return finding;
  }

  async #find(inForce: RulesInForce): Promise<Result<LogStore | undefined>> {
    const store = this.#store;
    const sinces = [...inForce.facts.values()].flatMap((columns) => [...columns.values()]);
    const through = Math.max(0, ...sinces);
    if (through > MAX_ENTRIES) return ok(undefined);
    const effects: EntryEffect[] = [];
    const rows = new WorkingRows(NOTHING_YET, inForce);
    let transaction: Delta[] = [];
    let chars = 0;
    while (effects.length + transaction.length < through) {
      const after = effects.length + transaction.length;
      const read = await store.read(after, { limit: READ_LIMIT, through });
      if (!read.ok) return read.error.code === "CHECKPOINT_REQUIRED" ? ok(undefined) : read;
      for (const { seq, txLast, json } of read.value) {
        chars += json.length;
        if (chars > MAX_CHARS) return ok(undefined);
        transaction.push(JSON.parse(json) as Delta);
        if (seq < txLast) continue;
        const entries: NewEntry[] = [];
        appendTransaction(transaction, rows, entries);
        for (const { effect } of entries) effects.push(effect);
        transaction = [];
      }
    }
    return ok(withPast(store, effects));
  }
}

/** A log's first entries with other effects: those of the seqs 1, 2, 3 … */
function withPast(store: LogStore, effects: readonly EntryEffect[]): LogStore {
  const judged = (entry: LogEntry): LogEntry => {
    const effect = effects[entry.seq - 1];
    return effect === undefined ? entry : { ...entry, effect };
  };
  const read: LogStore["read"] = async (after, options) => {
    const entries = await store.read(after, options);
    return entries.ok ? ok(entries.value.map(judged)) : entries;
  };
  return new Proxy(store, {
    get(target, name) {
      if (name === "read") return read;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) as unknown : value;
    },
  });
}

/** A log before its first entry. */
const NOTHING_YET: AppendView = {
  head: { seq: 0, hash: "0" },
  now: 0,
  purged: undefined,
  duplicate: () => undefined,
  row: () => undefined,
  value: () => undefined,
};
