import { type DeltaOp, mergeDelta, type RowState } from "@lakesync/core";
import { toWire } from "./_cells.ts";
import type { Changes } from "./compact_change_list.ts";
import type { CompactionJob } from "./compact_engine.ts";
import { type StateRow, unsigned } from "./state_row.ts";

/** The row that an INSERT alone makes: what it carries is the row, so nothing needs merging. */
export function soleInsert(changes: Changes, list: readonly number[]): StateRow | undefined {
  const place = list[0]!;
  if (list.length > 1 || changes.op[place] !== "INSERT") return undefined;
  let values = 0;
  const cells = changes.cells.map((column) => {
    const cell = column[place]!;
    if (cell !== null) values++;
    return cell;
  });
  const carried = changes.carried[place];
  const count = carried === null || carried === undefined ? 0 : carried.split(",").length;
  // A column that was set to null has a register, which a column without a value has not.
  if (count !== values) return undefined;
  return { hlc: changes.hlc[place]!, clientId: changes.clientId[place]!, stamps: null, cells };
}

/** Merges a change into a row; whether it did anything. */
export function mergeChange(
  state: RowState,
  { changes, place, columns }: {
    changes: Changes;
    place: number;
    columns: CompactionJob["columns"];
  },
): boolean {
  const carried = changes.carried[place] ?? "";
  const { life, columns: won } = mergeDelta(state, {
    op: changes.op[place] as DeltaOp,
    hlc: unsigned(changes.hlc[place]!),
    clientId: changes.clientId[place]!,
    columns: carriedBy(carried, columns).map((i) => {
      const { name, type } = columns[i]!.column;
      return { column: name, value: toWire(type, changes.cells[i]![place]!) };
    }),
  });
  return life || won.length > 0;
}

/** The last answer of {@linkcode carriedBy}: neighbours mostly carry the same. */
let last: { carried: string; columns: CompactionJob["columns"]; places: readonly number[] } = {
  carried: "",
  columns: [],
  places: [],
};

/** The places of the columns that a change carries. */
function carriedBy(carried: string, columns: CompactionJob["columns"]): readonly number[] {
  if (last.carried !== carried || last.columns !== columns) {
    const names = new Set(carried.split(","));
    const places = [...columns.keys()].filter((i) => names.has(columns[i]!.column.name));
    last = { carried, columns, places };
  }
  return last.places;
}
