import {
  type AppendView,
  cloneRow,
  compareStamps,
  type Delta,
  emptyRow,
  type EntryEffect,
  isVisible,
  type JudgedFacts,
  mergeDelta,
  type NewEntry,
  type RowFacts,
  type RowState,
  type RowStatus,
  type RowWrite,
} from "@lakesync/core";
import { entryKeys, factsOf, sameFacts } from "./rules_facts.ts";
import { RowMap } from "./row_map.ts";
import type { RulesInForce } from "./rules_registry.ts";
import { tableKey } from "./table_key.ts";

/** A row that is being changed, and what it was before. */
export interface EditedRow {
  /** What it was. */
  readonly before: RowStatus;
  /** What rules look at in it, where it was alive and they do. */
  readonly facts: RowFacts | undefined;
  /** Its state, to be changed in place. */
  readonly state: RowState;
}

/** The rows as they are after what a plan has planned so far. */
export class WorkingRows {
  /** The rules in force, by which entries are judged later; undefined where there are none. */
  readonly rules: RulesInForce | undefined;
  readonly #view: AppendView;
  readonly #edited = new RowMap<string, RowWrite>();
  /** The keys of entries that have none but their table's: one list for all of a table. */
  readonly #tableKeys = new Map<string, readonly string[]>();

  constructor(view: AppendView, rules: RulesInForce | undefined) {
    this.#view = view;
    this.rules = rules;
  }

  get(table: string, rowId: string): RowState | undefined {
    return this.#edited.get(table, rowId)?.state ?? this.#view.row(table, rowId);
  }

  /** A row's state, to be changed in place, and what the row was before. */
  edit(table: string, rowId: string): EditedRow {
    const edited = this.#edited.get(table, rowId);
    if (edited !== undefined) {
      const { state } = edited;
      return { before: rowStatus(state), facts: this.#facts(table, state), state };
    }
    // Looked up once: for most rows this is a read of the store.
    const stored = this.#view.row(table, rowId);
    const state = stored === undefined ? emptyRow() : cloneRow(stored);
    this.#edited.set(table, rowId, { table, rowId, state });
    return { before: rowStatus(stored), facts: this.#facts(table, state), state };
  }

  /** What rules look at before and after; undefined where no rule looks into the table. */
  judged(table: string, edited: EditedRow): JudgedFacts | undefined {
    if (this.rules?.facts.has(table) !== true) return undefined;
    return { before: edited.facts, after: this.#facts(table, edited.state) };
  }

  /** What an entry is found by. */
  keys(delta: Delta, judged: JudgedFacts | undefined): readonly string[] {
    const { table } = delta;
    if (this.rules?.keys.has(table) === true) return entryKeys(delta, judged, this.rules);
    let keys = this.#tableKeys.get(table);
    if (keys === undefined) this.#tableKeys.set(table, keys = [tableKey(table)]);
    return keys;
  }

  #facts(table: string, state: RowState): RowFacts | undefined {
    const columns = this.rules?.facts.get(table);
    return columns === undefined || !isVisible(state) ? undefined : factsOf(state, columns.keys());
  }

  changed(): RowWrite[] {
    return this.#edited.values();
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
  const touched = new Map<string, EditedRow & { last: number }>();
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
    const touch = touched.get(row)!;
    const { state, last } = touch;
    const life = won.life && compareStamps(delta, state.life!) === 0 &&
      (delta.op === "INSERT") === state.life!.alive;
    const columns = won.columns.filter((column) => holds(state, column, delta));
    const judged = rows.judged(delta.table, touch);
    const effect = effectOf(delta, { ...touch, judged, last: last === i, life, columns });
    const keys = rows.keys(delta, judged);
    entries.push({ delta, effect, txEnd: i === deltas.length - 1, keys });
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
    judged: JudgedFacts | undefined;
  },
): EntryEffect {
  const { before, state, last, life, columns, judged } = did;
  const after = rowStatus(state);
  // Who may see it from now on, by its rules too, has to be given the whole of it.
  const enters = last && after === "alive" && before !== "none" &&
    (before !== "alive" || (judged !== undefined && !sameFacts(judged)));
  return {
    before,
    after,
    last,
    life,
    columns: columns.length > 0 && columns.length === delta.columns.length ? undefined : columns,
    // A copy: later transactions of this push go on changing the working state.
    state: enters ? cloneRow(state) : undefined,
    judged,
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
  const row = rows.edit(delta.table, delta.rowId);
  const { life, columns } = mergeDelta(row.state, delta);
  const judged = rows.judged(delta.table, row);
  const effect = effectOf(delta, { ...row, judged, last: true, life, columns });
  entries.push({ delta, effect, txEnd: true, keys: rows.keys(delta, judged) });
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
