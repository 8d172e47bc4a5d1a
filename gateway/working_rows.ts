import {
  type AppendView,
  cloneRow,
  compareStamps,
  type Delta,
  emptyRow,
  type EntryEffect,
  mergeDelta,
  type NewEntry,
  type RowState,
  type RowStatus,
  type RowWrite,
} from "@lakesync/core";

/** The rows as they are after what a plan has planned so far. */
export class WorkingRows {
  readonly #view: AppendView;
  readonly #edited = new Map<string, RowWrite>();

  constructor(view: AppendView) {
    this.#view = view;
  }

  get(table: string, rowId: string): RowState | undefined {
    return this.#edited.get(rowKey(table, rowId))?.state ?? this.#view.row(table, rowId);
  }

  /** A row's state, to be changed in place, and what the row was before. */
  edit(table: string, rowId: string): { before: RowStatus; state: RowState } {
    const key = rowKey(table, rowId);
    const edited = this.#edited.get(key);
    if (edited !== undefined) return { before: rowStatus(edited.state), state: edited.state };
    // Looked up once: for most rows this is a read of the store.
    const stored = this.#view.row(table, rowId);
    const state = stored === undefined ? emptyRow() : cloneRow(stored);
    this.#edited.set(key, { table, rowId, state });
    return { before: rowStatus(stored), state };
  }

  changed(): RowWrite[] {
    return [...this.#edited.values()];
  }
}

/**
 * Plans a transaction: merges its deltas into the rows and adds its entries with what of each still
 * counts after the transaction (PROTOCOL, section 2: what it undid itself is nobody's business).
 *
 * @param deltas The transaction's deltas, in order.
 * @param rows The rows as they are before it; changed.
 * @param entries Where the entries go.
 */
export function appendTransaction(
  deltas: readonly Delta[],
  rows: WorkingRows,
  entries: NewEntry[],
): void {
  if (deltas.length === 1) return appendSingle(deltas[0]!, rows, entries);
  const touched = new Map<string, { before: RowStatus; state: RowState; last: number }>();
  const effects: { life: boolean; columns: readonly string[]; row: string }[] = [];
  deltas.forEach((delta, i) => {
    const row = rowKey(delta.table, delta.rowId);
    let touch = touched.get(row);
    if (touch === undefined) {
      touch = { ...rows.edit(delta.table, delta.rowId), last: i };
      touched.set(row, touch);
    }
    touch.last = i;
    effects.push({ ...mergeDelta(touch.state, delta), row });
  });
  deltas.forEach((delta, i) => {
    const { row, ...won } = effects[i]!;
    const { before, state, last } = touched.get(row)!;
    const life = won.life && compareStamps(delta, state.life!) === 0 &&
      (delta.op === "INSERT") === state.life!.alive;
    const columns = won.columns.filter((column) => holds(state, column, delta));
    const effect = effectOf(delta, { before, state, last: last === i, life, columns });
    entries.push({ delta, effect, txEnd: i === deltas.length - 1 });
  });
}

/** What an entry says that its delta did. */
function effectOf(
  delta: Delta,
  did: {
    before: RowStatus;
    state: RowState;
    last: boolean;
    life: boolean;
    columns: readonly string[];
  },
): EntryEffect {
  const { before, state, last, life, columns } = did;
  const after = rowStatus(state);
  const enters = last && after === "alive" && (before === "dead" || before === "lifeless");
  return {
    before,
    after,
    last,
    life,
    columns: columns.length > 0 && columns.length === delta.columns.length ? undefined : columns,
    // A copy: later transactions of this push go on changing the working state.
    state: enters ? cloneRow(state) : undefined,
  };
}

/** Whether a column's register is still the one that a delta, which had won it, wrote. */
function holds(state: RowState, column: string, delta: Delta): boolean {
  const register = state.columns.get(column);
  if (register === undefined) return false;
  const [value, hlc, clientId] = register;
  return hlc === delta.hlc && clientId === delta.clientId &&
    // Two deltas of one stamp: the values tell.
    delta.columns.some((change) => change.column === column && change.value === value);
}

/** The same for a transaction of one delta, as most are: nothing to keep apart by row. */
function appendSingle(delta: Delta, rows: WorkingRows, entries: NewEntry[]): void {
  const { before, state } = rows.edit(delta.table, delta.rowId);
  const { life, columns } = mergeDelta(state, delta);
  const effect = effectOf(delta, { before, state, last: true, life, columns });
  entries.push({ delta, effect, txEnd: true });
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
