import {
  type AppendPlan,
  type AppendView,
  cloneRow,
  compareStamps,
  type Delta,
  emptyRow,
  type EntryEffect,
  type JsonValue,
  mergeDelta,
  type NewEntry,
  type Rejection,
  type RejectionCode,
  type RowState,
  type RowStatus,
  unpackHlc,
} from "@lakesync/core";

/** A delta of a push after it was decoded, or why it was refused there. */
export interface DecodedDelta {
  /** Its place in the push. */
  readonly index: number;
  /** Its id as it was sent, or `""`. */
  readonly deltaId: string;
  /** Names its transaction: deltas of one transaction share it, others differ. */
  readonly tx: string | undefined;
  /** The delta; undefined where it is refused already. */
  readonly delta: Delta | undefined;
  /** Why it is refused, where it is. */
  readonly fault: { readonly code: RejectionCode; readonly message: string } | undefined;
}

/** What a push comes to. */
export interface PushPlan extends AppendPlan {
  /** How many deltas are appended. */
  readonly accepted: number;
  /** How many were there already. */
  readonly duplicates: number;
  /** The others. */
  readonly rejected: readonly Rejection[];
}

/** Options of {@linkcode planPush}. */
export interface PlanPushOptions {
  /** The gateway's clock, one reading for the whole push, in ms. */
  readonly now: number;
  /** How far ahead of it a stamp may be, in ms. */
  readonly maxDriftMs: number;
}

interface Fault {
  readonly code: RejectionCode;
  readonly message: string;
}

/**
 * Decides what of a push is appended (PROTOCOL, sections 1, 2 and 4). Pure.
 *
 * @param deltas The push's deltas in order.
 * @param view The log and its rows as they are.
 * @param options The clock.
 * @returns The plan with its answer.
 */
export function planPush(
  deltas: readonly DecodedDelta[],
  view: AppendView,
  options: PlanPushOptions,
): PushPlan {
  const rows = new WorkingRows(view);
  const entries: NewEntry[] = [];
  const rejected: Rejection[] = [];
  const seen = new Set<string>();
  let duplicates = 0;
  let drifted = false;

  for (let start = 0; start < deltas.length;) {
    const end = transactionEnd(deltas, start);
    const fresh: Delta[] = [];
    let cause: Fault | undefined;
    const refused: { item: DecodedDelta; fault: Fault | undefined }[] = [];
    // After the first CLOCK_DRIFT all that follows is refused, so that the order is kept.
    const late = drifted;
    for (let i = start; i < end; i++) {
      const item = deltas[i]!;
      const { delta } = item;
      if (delta !== undefined && (seen.has(delta.deltaId) || view.duplicate(delta) !== undefined)) {
        duplicates++;
        continue;
      }
      const fault = late ? DRIFTED : cause === undefined ? judge(item, view, rows, options) : undefined;
      if (fault !== undefined) {
        cause ??= fault;
        if (fault.code === "CLOCK_DRIFT") drifted = true;
      } else if (cause === undefined && delta !== undefined) {
        seen.add(delta.deltaId);
        fresh.push(delta);
      }
      refused.push({ item, fault });
    }
    if (cause === undefined) {
      appendTransaction(fresh, rows, entries);
    } else {
      for (const delta of fresh) seen.delete(delta.deltaId);
      for (const { item, fault } of refused) {
        rejected.push({ index: item.index, deltaId: item.deltaId, ...(fault ?? TX_REJECTED) });
      }
    }
    start = end;
  }
  return { entries, rows: rows.changed(), accepted: entries.length, duplicates, rejected };
}

const DRIFTED: Fault = {
  code: "CLOCK_DRIFT",
  message: "It follows a delta that is too far ahead: correct the clock by serverHlc and send it again",
};

const TX_REJECTED: Fault = {
  code: "TX_REJECTED",
  message: "Another delta of its transaction was rejected",
};

/** One past the last delta of the transaction that begins at `start`. */
function transactionEnd(deltas: readonly DecodedDelta[], start: number): number {
  const tx = deltas[start]!.tx;
  let end = start + 1;
  if (tx !== undefined) while (end < deltas.length && deltas[end]!.tx === tx) end++;
  return end;
}

function judge(
  item: DecodedDelta,
  view: AppendView,
  rows: WorkingRows,
  options: PlanPushOptions,
): Fault | undefined {
  if (item.delta === undefined) return item.fault;
  const { hlc, table, rowId } = item.delta;
  const aheadMs = unpackHlc(hlc).wallMs - options.now;
  if (aheadMs > options.maxDriftMs) {
    return {
      code: "CLOCK_DRIFT",
      message:
        `Its stamp is ${aheadMs} ms ahead, more than ${options.maxDriftMs}: correct the clock by serverHlc and send it again`,
    };
  }
  if (
    view.purged !== undefined && compareStamps(item.delta, view.purged) <= 0 &&
    rows.get(table, rowId) === undefined
  ) {
    return {
      code: "STALE",
      message: "It is older than what was purged, and its row is gone: make it anew",
    };
  }
  return undefined;
}

function appendTransaction(deltas: readonly Delta[], rows: WorkingRows, entries: NewEntry[]): void {
  const touched = new Map<string, { before: RowStatus; state: RowState; last: number }>();
  const effects: { life: boolean; columns: readonly string[]; row: string }[] = [];
  deltas.forEach((delta, i) => {
    const row = rowKey(delta.table, delta.rowId);
    let touch = touched.get(row);
    if (touch === undefined) {
      const before = rowStatus(rows.get(delta.table, delta.rowId));
      touch = { before, state: rows.edit(delta.table, delta.rowId), last: i };
      touched.set(row, touch);
    }
    touch.last = i;
    effects.push({ ...mergeDelta(touch.state, delta), row });
  });
  deltas.forEach((delta, i) => {
    const { life, columns, row } = effects[i]!;
    const { before, state, last } = touched.get(row)!;
    const after = rowStatus(state);
    const enters = last === i && after === "alive" && (before === "dead" || before === "lifeless");
    const effect: EntryEffect = {
      before,
      after,
      last: last === i,
      life,
      columns: columns.length > 0 && columns.length === delta.columns.length ? undefined : columns,
      // A copy: later transactions of this push go on changing the working state.
      state: enters ? cloneRow(state) : undefined,
    };
    entries.push({ delta, effect, txEnd: i === deltas.length - 1 });
  });
}

/**
 * What a row is.
 *
 * @param state Its state, or undefined where nothing of it was seen.
 * @returns Its status.
 */
export function rowStatus(state: RowState | undefined): RowStatus {
  if (state === undefined) return "none";
  if (state.life === undefined) return "lifeless";
  return state.life.alive ? "alive" : "dead";
}

/**
 * A text that names a row.
 *
 * @param table Its table, an identifier.
 * @param rowId Its key.
 * @returns The text; different rows have different ones, because no identifier has a NUL.
 */
export function rowKey(table: string, rowId: string): string {
  return `${table}\0${rowId}`;
}

/** The rows as they are after what was planned so far. */
class WorkingRows {
  readonly #view: AppendView;
  readonly #edited = new Map<string, { table: string; rowId: string; state: RowState }>();

  constructor(view: AppendView) {
    this.#view = view;
  }

  get(table: string, rowId: string): RowState | undefined {
    return this.#edited.get(rowKey(table, rowId))?.state ?? this.#view.row(table, rowId);
  }

  edit(table: string, rowId: string): RowState {
    const key = rowKey(table, rowId);
    const edited = this.#edited.get(key);
    if (edited !== undefined) return edited.state;
    const stored = this.#view.row(table, rowId);
    const state = stored === undefined ? emptyRow() : cloneRow(stored);
    this.#edited.set(key, { table, rowId, state });
    return state;
  }

  changed(): { table: string; rowId: string; state: RowState }[] {
    return [...this.#edited.values()];
  }
}

/**
 * Names the transaction that a delta as it was sent belongs to, also where it is malformed.
 *
 * @param value The delta as it was sent.
 * @returns A text that contiguous deltas of one transaction share; undefined for one by itself.
 */
export function transactionOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { clientId, txId } = value as { readonly [key: string]: JsonValue };
  if (typeof clientId !== "string" || typeof txId !== "string") return undefined;
  return JSON.stringify([clientId, txId]);
}
