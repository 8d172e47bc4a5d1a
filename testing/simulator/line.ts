import type { Delta } from "@lakesync/core";
import {
  addDelta,
  type Bags,
  compareStamps,
  hasLife,
  type OracleRow,
  type OracleRows,
  visibleRow,
  visibleRows,
  type Written,
} from "./oracle.ts";

/** An entry of a log, as the simulator saw it become durable. */
export interface LineEntry {
  readonly seq: number;
  readonly delta: Delta;
  /** The seq of its transaction's last entry. */
  readonly txLast: number;
}

/** A stamp in the form that compares. */
interface Stamp {
  readonly hlc: bigint;
  readonly clientId: string;
}

/**
 * A log from its first entry on, also what the product has trimmed: the truth that everything else
 * is held to. A reset begins another line; a restore begins one with the same first entries.
 */
export class Line {
  /** Entry i has seq i + 1. */
  readonly entries: LineEntry[];
  readonly #seqs = new Map<string, number>();
  readonly #views = new Map<number, OracleRows>();
  #purged: Stamp | undefined;
  #trimmed = 0;
  /** Rows that a gateway may have forgotten, with the seq of the last entry that went. */
  readonly #forgotten = new Map<string, number>();

  /** What stood in a backup; what of it was trimmed there is sent up again. */
  readonly #restored: number;

  constructor(entries: readonly LineEntry[] = []) {
    this.entries = [];
    this.#restored = entries.length;
    for (const { delta, txLast } of entries) this.#push(delta, txLast);
  }

  /** Whether it began as a backup. */
  get isRestored(): boolean {
    return this.#restored > 0;
  }

  /** Its last seq. */
  get head(): number {
    return this.entries.length;
  }

  /** The last seq that was trimmed. */
  get trimmed(): number {
    return this.#trimmed;
  }

  /** Appends what was made durable in one commit; a fault where a delta is there already. */
  append(deltas: readonly Delta[]): string | undefined {
    let fault: string | undefined;
    const first = this.entries.length + 1;
    for (const [i, delta] of deltas.entries()) {
      // A transaction is a contiguous run of one maker's deltas with one txId.
      let end = i;
      while (delta.txId !== undefined && sameTransaction(delta, deltas[end + 1])) end++;
      const txLast = first + end;
      const known = this.#seqs.get(delta.deltaId);
      const again = known !== undefined && known <= Math.min(this.#restored, this.#trimmed);
      if (known !== undefined && !again) fault ??= `${describe(delta)} is at seq ${known} already`;
      this.#push(delta, txLast);
    }
    return fault;
  }

  #push(delta: Delta, txLast: number): void {
    const seq = this.entries.length + 1;
    this.entries.push({ seq, delta, txLast });
    if (!this.#seqs.has(delta.deltaId)) this.#seqs.set(delta.deltaId, seq);
  }

  /** Where a delta is; undefined where it is not in this log. */
  seqOf(deltaId: string): number | undefined {
    return this.#seqs.get(deltaId);
  }

  /** Whether a transaction ends with that seq. */
  isBoundary(seq: number): boolean {
    return seq === 0 || this.entries[seq - 1]?.txLast === seq;
  }

  /** The rows that show after the first `seq` entries. */
  rowsAt(seq: number): OracleRows {
    let view = this.#views.get(seq);
    if (view === undefined) this.#views.set(seq, view = visibleRows(this.bagsAt(seq)));
    return view;
  }

  /** A row as it shows after the first `seq` entries. */
  rowAt(table: string, id: string, seq: number): OracleRow | undefined {
    return visibleRow(this.bagAt(table, id, seq));
  }

  /** All registers of a row after the first `seq` entries. */
  bagAt(table: string, id: string, seq: number): readonly Written[] {
    const bags: Bags = new Map();
    for (let i = 0; i < Math.min(seq, this.entries.length); i++) {
      const { delta } = this.entries[i]!;
      if (delta.rowId === id && delta.table === table) addDelta(bags, delta);
    }
    return bags.get(table)?.get(id) ?? [];
  }

  /** The transactions behind one seq up to another, each by its entries. */
  transactionsIn(from: number, to: number): readonly (readonly LineEntry[])[] {
    const found: (readonly LineEntry[])[] = [];
    for (let at = from; at < Math.min(to, this.entries.length);) {
      const { txLast } = this.entries[at]!;
      found.push(this.entries.slice(at, txLast));
      at = txLast;
    }
    return found;
  }

  /** All registers of the first `seq` entries. */
  bagsAt(seq: number): Bags {
    const bags: Bags = new Map();
    for (let i = 0; i < seq; i++) addDelta(bags, this.entries[i]!.delta);
    return bags;
  }

  /**
   * Takes note that the log was trimmed: the rows that do not show, and whose last entries went, may
   * be forgotten from now on; the greatest of their stamps is what the store has to remember.
   */
  trim(through: number): void {
    this.#trimmed = Math.max(this.#trimmed, through);
    const bags = this.bagsAt(this.head);
    const shown = this.rowsAt(this.head);
    const lastSeqs = new Map<string, number>();
    for (const { seq, delta } of this.entries) lastSeqs.set(keyOf(delta.table, delta.rowId), seq);
    for (const [table, byId] of bags) {
      for (const [id, bag] of byId) {
        const key = keyOf(table, id);
        const last = lastSeqs.get(key)!;
        if (last > through || shown.get(table)!.has(id)) continue;
        if ((this.#forgotten.get(key) ?? 0) >= last) continue;
        const after = this.#forgotten.get(key) ?? 0;
        this.#forgotten.set(key, last);
        for (const one of after === 0 ? bag : this.#writtenAfter({ table, rowId: id }, after)) {
          if (this.#purged === undefined || compareStamps(one, this.#purged) > 0) {
            this.#purged = one;
          }
        }
      }
    }
  }

  /** Why a delta must not be refused as STALE at this head; undefined where it may be. */
  staleFault(stale: Delta, head: number = this.head): string | undefined {
    const stamp = { hlc: BigInt(stale.hlc), clientId: stale.clientId };
    if (this.#purged === undefined || compareStamps(stamp, this.#purged) > 0) {
      return "its stamp is above everything that was purged";
    }
    const after = this.#forgotten.get(keyOf(stale.table, stale.rowId)) ?? 0;
    const held = this.#writtenAfter(stale, after).filter(({ seq }) => seq <= head);
    return hasLife(held) ? "its row is there, dead or alive" : undefined;
  }

  /** What was written to a row by entries after a seq. */
  #writtenAfter(
    row: { readonly table: string; readonly rowId: string },
    after: number,
  ): (Written & { readonly seq: number })[] {
    const found: (Written & { readonly seq: number })[] = [];
    for (let i = after; i < this.entries.length; i++) {
      const { seq, delta } = this.entries[i]!;
      if (delta.table !== row.table || delta.rowId !== row.rowId) continue;
      const bags: Bags = new Map();
      addDelta(bags, delta);
      for (const one of bags.get(row.table)?.get(row.rowId) ?? []) found.push({ ...one, seq });
    }
    return found;
  }

  /** The first entries as a line of their own: what a backup holds. */
  fork(head: number, trimmed: number): Line {
    const line = new Line(this.entries.slice(0, head));
    if (trimmed > 0) line.trim(trimmed);
    return line;
  }
}

function sameTransaction(a: Delta, b: Delta | undefined): boolean {
  return b !== undefined && a.clientId === b.clientId && a.txId === b.txId;
}

function keyOf(table: string, rowId: string): string {
  return `${table}/${rowId}`;
}

/** A delta in a few words. */
export function describe({ op, table, rowId, clientId, hlc, columns, deltaId }: Delta): string {
  const cells = columns.map(({ column, value }) => `${column}=${JSON.stringify(value)}`).join(" ");
  return `${op} ${table}/${rowId} ${cells} by ${clientId} at ${hlc} (${deltaId.slice(0, 8)})`;
}
