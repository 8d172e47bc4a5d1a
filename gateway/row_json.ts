import type { Hlc, Register, RowState } from "@lakesync/core";

/** A row's state as stores keep it: `[alive, hlc, clientId, columns]`, all three null without life. */
type StoredRow = [
  alive: boolean | null,
  hlc: Hlc | null,
  clientId: string | null,
  columns: { [column: string]: Register },
];

/**
 * The text that a store keeps for a row's state.
 *
 * @param state The state.
 * @returns Its JSON text.
 */
export function rowToJson(state: RowState): string {
  const { life } = state;
  // Built by hand: this runs once for each pushed row, and fromEntries alone would double its cost.
  let text = life === undefined
    ? "[null,null,null,{"
    : `[${life.alive},"${life.hlc}",${JSON.stringify(life.clientId)},{`;
  let first = true;
  for (const [column, [value, hlc, clientId]] of state.columns) {
    if (!first) text += ",";
    first = false;
    text += `"${column}":[${JSON.stringify(value)},"${hlc}",${JSON.stringify(clientId)}]`;
  }
  return text + "}]";
}

/**
 * The state that a text from {@linkcode rowToJson} stands for.
 *
 * @param text The text.
 * @returns The state.
 */
export function rowFromJson(text: string): RowState {
  const [alive, hlc, clientId, columns] = JSON.parse(text) as StoredRow;
  return {
    life: alive === null || hlc === null || clientId === null
      ? undefined
      : { alive, hlc, clientId },
    columns: new Map(Object.entries(columns)),
  };
}
