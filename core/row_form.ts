import type { RowState } from "./merge.ts";
import type { CheckpointRow } from "./wire.ts";

/**
 * A visible row in the form in which checkpoints and ENTERs carry it.
 *
 * @param row The row; its state must be alive.
 * @returns The checkpoint row.
 * @throws {TypeError} Where the row is not alive.
 *
 * @example Encode a row
 * ```ts
 * import { emptyRow, encodeRow, mergeDelta } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const state = emptyRow();
 * mergeDelta(state, { op: "INSERT", hlc: "1", clientId: "a", columns: [{ column: "x", value: 1 }] });
 * assertEquals(encodeRow({ table: "t", rowId: "r", state }), {
 *   table: "t", rowId: "r", life: ["1", "a"], columns: { x: [1, "1", "a"] },
 * });
 * ```
 */
export function encodeRow(row: { table: string; rowId: string; state: RowState }): CheckpointRow {
  const { table, rowId, state } = row;
  if (state.life?.alive !== true) {
    throw new TypeError(`Cannot encode row "${rowId}": it is not alive`);
  }
  return {
    table,
    rowId,
    life: [state.life.hlc, state.life.clientId],
    // fromEntries defines own properties, so that a column named __proto__ is one too.
    columns: Object.fromEntries(state.columns),
  };
}

/**
 * The state that a checkpoint row or an ENTER carries.
 *
 * @param row A well-formed checkpoint row.
 * @returns Its state.
 *
 * @example Decode a row
 * ```ts
 * import { decodeRow, isVisible } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(isVisible(decodeRow({ table: "t", rowId: "r", life: ["1", "a"], columns: {} })));
 * ```
 */
export function decodeRow(row: CheckpointRow): RowState {
  return {
    life: { alive: true, hlc: row.life[0], clientId: row.life[1] },
    columns: new Map(Object.entries(row.columns)),
  };
}
