import {
  type AppendOutcome,
  type AppendPlan,
  type AppendRequest,
  type AppendView,
  compareHlc,
  type Delta,
  err,
  type Hlc,
  ok,
  type Result,
  type RowWrite,
  toLakeSyncError,
} from "@lakesync/core";
import { type Appended, packChunks } from "./kv_chunk.ts";
import type { Former } from "./kv_derive.ts";
import type { HeadRead, KvPosition } from "./kv_head.ts";
import type { StoredValues } from "./kv_values.ts";
import { extendHash, hashText } from "./log_hash.ts";
import { rowKey } from "./working_rows.ts";

/** What was read for some requests, all of it as of one head. */
export interface AppendInput extends Former {
  /** The head. */
  readonly read: HeadRead;
  /** The store's clock, in ms. */
  readonly now: number;
  /** The rows that were looked for, by {@linkcode rowKey}; not all of them are there. */
  readonly asked: ReadonlySet<string>;
  /** The seqs of deltas that are known, by deltaId. */
  readonly known: ReadonlyMap<string, number>;
  /** The values that were asked for. */
  readonly values: StoredValues;
}

/** What some requests come to, one after the other. */
export class PlannedAppends {
  readonly #input: AppendInput;
  readonly #rows = new Map<string, RowWrite & { seq: number }>();
  readonly #seqs = new Map<string, number>();
  readonly #greatest = new Map<string, Hlc>();
  readonly #entries: Appended["entries"][number][] = [];
  #head: KvPosition;
  /** Values to set. */
  readonly values: Map<string, string | null> = new Map();
  /** Who pushed, and the least seq of each one's push. */
  readonly pushers: Map<string, number> = new Map();

  constructor(input: AppendInput) {
    this.#input = input;
    this.#head = input.read.head;
  }

  /** The rows as they are then, each with the seq of its last entry. */
  get rows(): readonly (RowWrite & { readonly seq: number })[] {
    return [...this.#rows.values()];
  }

  /** The new entries. */
  get appended(): Appended {
    const { read, now } = this.#input;
    return { after: read.head, at: now, entries: this.#entries };
  }

  /** Whether there is nothing to write. */
  get isEmpty(): boolean {
    return this.#entries.length + this.#rows.size + this.values.size === 0 &&
      [...this.pushers].every(([id, from]) => this.#input.clients.get(id)?.from === from);
  }

  /** Plans one more request. */
  add(request: AppendRequest): Result<AppendOutcome> {
    let from = Infinity;
    const { now, read, known } = this.#input;
    const view: AppendView = {
      head: { seq: this.#head.seq, hash: hashText(this.#head.hash) },
      now,
      purged: read.head.purged,
      duplicate: ({ deltaId }) => {
        const seq = this.#seqs.get(deltaId) ?? known.get(deltaId);
        if (seq !== undefined) from = Math.min(from, seq);
        return seq;
      },
      row: (table, rowId) => {
        const key = rowKey(table, rowId);
        return (this.#rows.get(key) ?? this.#input.rows.get(key))?.state;
      },
      value: (key) => {
        const set = this.values.get(key);
        return set === undefined ? this.#input.values.get(key)?.text : set ?? undefined;
      },
    };
    let plan: AppendPlan;
    try {
      plan = request.plan(view);
    } catch (thrown) {
      return err(toLakeSyncError(thrown, "INTERNAL"));
    }
    const first = plan.entries.length > 0 ? this.#head.seq + 1 : undefined;
    this.#take(request.clientId, plan);
    from = Math.min(from, first ?? Infinity);
    if (from !== Infinity) this.pushers.set(request.clientId, from);
    const { seq, hash } = this.#head;
    return ok({ head: { seq, hash: hashText(hash) }, first });
  }

  #take(pusher: string, plan: AppendPlan): void {
    const lastOf = new Map<string, number>();
    for (const entry of plan.entries) {
      const { delta } = entry;
      const seq = this.#head.seq + 1;
      this.#head = { seq, hash: extendHash(this.#head.hash, delta.deltaId) };
      this.#seqs.set(delta.deltaId, seq);
      lastOf.set(rowKey(delta.table, delta.rowId), seq);
      this.#entries.push({ entry, pusher, late: this.#isLate(delta) });
    }
    for (const row of plan.rows) {
      const key = rowKey(row.table, row.rowId);
      this.#rows.set(key, { ...row, seq: lastOf.get(key) ?? this.#head.seq });
    }
    for (const [key, value] of plan.values ?? []) this.values.set(key, value);
  }

  #isLate({ clientId, hlc }: Delta): boolean {
    const greatest = this.#greatest.get(clientId) ?? this.#input.clients.get(clientId)?.greatest;
    if (greatest !== undefined && compareHlc(hlc, greatest) <= 0) return true;
    this.#greatest.set(clientId, hlc);
    return false;
  }

  /** The entries in chunks, and the head behind them. */
  pack(): ReturnType<typeof packChunks> & { seq: number } {
    return { ...packChunks(this.appended), seq: this.#head.seq };
  }
}
