import {
  type AppendPlan,
  type AppendRequest,
  compareStamps,
  type Delta,
  type EntryEffect,
  type RowState,
  type RowWrite,
  type Stamp,
} from "@lakesync/core";

/** An entry as the model has it. */
export interface ModelEntry {
  readonly seq: number;
  readonly txLast: number;
  readonly delta: Delta;
  readonly effect: EntryEffect;
  readonly keys: readonly string[];
}

/** What a `LogStore` must be like from outside, in the plainest form. */
export class LogModel {
  /** Every entry ever, also trimmed ones. */
  readonly entries: ModelEntry[] = [];
  readonly values: Map<string, string> = new Map();
  readonly rows: Map<string, RowWrite & { readonly seq: number }> = new Map();
  readonly #visible = new Map<string, number>();
  readonly #lastPush = new Map<string, readonly Delta[]>();
  trimmed = 0;
  purged: Stamp | undefined;

  /** The deltas that a store must know as duplicates: all of them, or those of one pusher. */
  known(pusher?: string): Delta[] {
    const kept = this.entries.slice(this.trimmed).map(({ delta }) => delta)
      .filter(({ clientId }) => pusher === undefined || clientId === pusher);
    const last = pusher === undefined
      ? [...this.#lastPush.values()].flat()
      : this.#lastPush.get(pusher) ?? [];
    return [...kept, ...last];
  }

  /** Somebody who has nothing asks for duplicates of deltas: that is a push, too. */
  look(deltas: readonly Delta[]): void {
    if (deltas.length > 0) this.#lastPush.set("onlooker", []);
  }

  /** How many have pushed. */
  get clients(): number {
    return this.#lastPush.size;
  }

  /** Visible rows for each table. */
  get visible(): ReadonlyMap<string, number> {
    return this.#visible;
  }

  /** Entries that a read gives. */
  read(after: number, options: { through?: number; keys?: readonly string[] } = {}): ModelEntry[] {
    const { through = Infinity, keys } = options;
    return this.entries.filter((entry) =>
      entry.seq > after && entry.seq <= through &&
      (keys === undefined || entry.keys.some((key) => keys.includes(key)))
    );
  }

  /** Appends; gives the first seq, where there is one. */
  append(request: AppendRequest): number | undefined {
    const plan: AppendPlan = request.plan({
      head: { seq: this.entries.length, hash: "" },
      now: 0,
      purged: this.purged,
      duplicate: (delta) =>
        this.known().some(({ deltaId }) => deltaId === delta.deltaId) ? 1 : undefined,
      row: (table, rowId) => this.rows.get(`${table}/${rowId}`)?.state,
      value: (key) => this.values.get(key),
    });
    const before = this.entries.length;
    plan.entries.forEach(({ delta, effect, keys }, i) => {
      const rest = plan.entries.slice(i).findIndex(({ txEnd }) => txEnd);
      const seq = before + i + 1;
      this.entries.push({ seq, txLast: seq + rest, delta, effect, keys });
      const change = Number(effect.after === "alive") - Number(effect.before === "alive");
      this.#visible.set(delta.table, (this.#visible.get(delta.table) ?? 0) + change);
    });
    for (const row of plan.rows) {
      this.rows.set(`${row.table}/${row.rowId}`, { ...row, seq: this.entries.length });
    }
    for (const [key, value] of plan.values ?? []) this.setValue(key, value);
    if (request.deltas.length > 0) this.#lastPush.set(request.clientId, request.deltas);
    return plan.entries.length > 0 ? before + 1 : undefined;
  }

  setValue(key: string, value: string | null): void {
    if (value === null) this.values.delete(key);
    else this.values.set(key, value);
  }

  /** Trims; `through` is where an append ended. */
  trim(through: number): void {
    if (through <= this.trimmed) return;
    this.trimmed = through;
    for (const [key, { state, seq }] of this.rows) {
      if (state.life?.alive === true || seq > through) continue;
      this.rows.delete(key);
      for (const stamp of stampsOf(state)) {
        if (this.purged === undefined || compareStamps(stamp, this.purged) > 0) {
          this.purged = stamp;
        }
      }
    }
  }
}

function stampsOf({ life, columns }: RowState): Stamp[] {
  const stamps = [...columns.values()].map(([, hlc, clientId]) => ({ hlc, clientId }));
  return life === undefined ? stamps : [...stamps, { hlc: life.hlc, clientId: life.clientId }];
}
