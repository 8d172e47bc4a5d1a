import type { Delta } from "./delta.ts";
import { compareHlc, type Hlc } from "./hlc.ts";
import { canonicalJson, compareCodePoints, type JsonValue } from "./json.ts";

/** Whether a row lives, and since which stamp. */
export interface Life {
  /** False after a DELETE. */
  readonly alive: boolean;
  /** When that was said. */
  readonly hlc: Hlc;
  /** Who said it. */
  readonly clientId: string;
}

/** A column's value and the stamp it was written with: `[value, hlc, clientId]`, as on the wire. */
export type Register = readonly [value: JsonValue, hlc: Hlc, clientId: string];

/**
 * The merged state of a row: one life register and one register for each column. It is the same for
 * every replica that has seen the same deltas, in whatever order and however often.
 */
export interface RowState {
  /** Undefined while only UPDATEs were seen: an UPDATE makes no row. */
  life: Life | undefined;
  /** The columns' registers; none is older than `life`. */
  readonly columns: Map<string, Register>;
}

/** What a delta changed in a row's state. */
export interface MergeEffect {
  /** Whether its life register won. */
  readonly life: boolean;
  /** The names of the columns whose registers won, in the delta's order. */
  readonly columns: readonly string[];
}

/** A stamp: who wrote something, and when. */
export interface Stamp {
  /** When. */
  readonly hlc: Hlc;
  /** Who. */
  readonly clientId: string;
}

/**
 * Orders stamps: by hlc, then by clientId by code point.
 *
 * @param a One stamp.
 * @param b The other.
 * @returns Below 0 where `a` is the lesser, above 0 where it is the greater, 0 where they are equal.
 *
 * @example The greater stamp wins
 * ```ts
 * import { compareStamps } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(compareStamps({ hlc: "9", clientId: "z" }, { hlc: "10", clientId: "a" }) < 0);
 * ```
 */
export function compareStamps(a: Stamp, b: Stamp): number {
  return compareHlc(a.hlc, b.hlc) || compareCodePoints(a.clientId, b.clientId);
}

/**
 * A row of which nothing was seen.
 *
 * @returns A fresh state without life and columns.
 *
 * @example Start from nothing
 * ```ts
 * import { emptyRow, isVisible } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(!isVisible(emptyRow()));
 * ```
 */
export function emptyRow(): RowState {
  return { life: undefined, columns: new Map() };
}

/**
 * A copy that can be changed without changing the original.
 *
 * @param state The state to copy.
 * @returns The copy.
 *
 * @example Copy
 * ```ts
 * import { cloneRow, emptyRow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(cloneRow(emptyRow()), emptyRow());
 * ```
 */
export function cloneRow(state: RowState): RowState {
  return { life: state.life, columns: new Map(state.columns) };
}

/**
 * Whether a row shows: its life register says `alive`.
 *
 * @param state The row's state.
 * @returns Whether it is visible (rules aside).
 *
 * @example A DELETE hides
 * ```ts
 * import { emptyRow, isVisible } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * const row = emptyRow();
 * row.life = { alive: false, hlc: "1", clientId: "a" };
 * assert(!isVisible(row));
 * ```
 */
export function isVisible(state: RowState | undefined): boolean {
  return state?.life?.alive === true;
}

/**
 * Merges one delta into a row's state (PROTOCOL, section 1, *Merge*): the greater stamp wins each
 * register; at equal stamps dead wins over alive and the greater canonical JSON text wins among
 * values; a column register older than the row's life is dropped. Order-independent and idempotent.
 *
 * @param state The row's state, which is changed.
 * @param delta The delta; its table and rowId are the caller's business.
 * @returns What the delta changed.
 *
 * @example Two edits of different columns both survive
 * ```ts
 * import { emptyRow, mergeDelta } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const row = emptyRow();
 * mergeDelta(row, { op: "INSERT", hlc: "1", clientId: "a", columns: [{ column: "x", value: 1 }, { column: "y", value: 1 }] });
 * mergeDelta(row, { op: "UPDATE", hlc: "3", clientId: "b", columns: [{ column: "y", value: 3 }] });
 * mergeDelta(row, { op: "UPDATE", hlc: "2", clientId: "a", columns: [{ column: "x", value: 2 }] });
 * assertEquals([row.columns.get("x")?.[0], row.columns.get("y")?.[0]], [2, 3]);
 * ```
 */
export function mergeDelta(
  state: RowState,
  delta: Pick<Delta, "op" | "hlc" | "clientId" | "columns">,
): MergeEffect {
  const life = delta.op === "UPDATE"
    ? false
    : mergeLife(state, { alive: delta.op === "INSERT", hlc: delta.hlc, clientId: delta.clientId });
  const columns: string[] = [];
  for (const { column, value } of delta.columns) {
    if (mergeRegister(state, column, [value, delta.hlc, delta.clientId])) columns.push(column);
  }
  return { life, columns };
}

/**
 * Merges a whole state into another, as a checkpoint row or an ENTER brings it.
 *
 * @param state The row's state, which is changed.
 * @param other The state to merge in.
 * @returns What changed.
 *
 * @example Merge two replicas of a row
 * ```ts
 * import { emptyRow, mergeDelta, mergeState } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const here = emptyRow();
 * const there = emptyRow();
 * mergeDelta(there, { op: "INSERT", hlc: "1", clientId: "a", columns: [{ column: "x", value: 1 }] });
 * mergeState(here, there);
 * assertEquals(here, there);
 * ```
 */
export function mergeState(state: RowState, other: RowState): MergeEffect {
  const life = other.life === undefined ? false : mergeLife(state, other.life);
  const columns: string[] = [];
  for (const [column, register] of other.columns) {
    if (mergeRegister(state, column, register)) columns.push(column);
  }
  return { life, columns };
}

function mergeLife(state: RowState, life: Life): boolean {
  const held = state.life;
  if (held !== undefined) {
    const order = compareStamps(life, held);
    if (order < 0) return false;
    if (order === 0 && (life.alive || !held.alive)) return false;
  }
  state.life = life;
  for (const [column, register] of state.columns) {
    if (olderThanLife(register, life)) state.columns.delete(column);
  }
  return true;
}

function mergeRegister(state: RowState, column: string, register: Register): boolean {
  if (state.life !== undefined && olderThanLife(register, state.life)) return false;
  const held = state.columns.get(column);
  if (held !== undefined) {
    const order = compareHlc(register[1], held[1]) || compareCodePoints(register[2], held[2]);
    if (order < 0) return false;
    if (order === 0) {
      if (compareCodePoints(canonicalJson(register[0]), canonicalJson(held[0])) <= 0) return false;
    }
  }
  state.columns.set(column, register);
  return true;
}

function olderThanLife(register: Register, life: Life): boolean {
  return (compareHlc(register[1], life.hlc) || compareCodePoints(register[2], life.clientId)) < 0;
}
