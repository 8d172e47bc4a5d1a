import type { Hlc, JsonValue, Register, RowState } from "@lakesync/core";

/**
 * A row's state as stores keep it: `[alive, hlc, clientId, values, stamps]`, the first three null
 * without life. A column written with the row's life has no entry in `stamps`; where all have none,
 * `stamps` is left out. So a row that was inserted and never changed is hardly more than its values.
 */
type StoredRow = [
  alive: boolean | null,
  hlc: Hlc | null,
  clientId: string | null,
  values: { [column: string]: JsonValue },
  stamps?: { [column: string]: [hlc: Hlc, clientId: string] },
];

/**
 * The text that a store keeps for a row's state.
 *
 * @param state The state.
 * @returns Its JSON text.
 */
export function rowToJson(state: RowState): string {
  const { life, columns } = state;
  // Built by hand: this runs once for each pushed row, and fromEntries alone would double its cost.
  let values = "";
  let stamps = "";
  columns.forEach(([value, hlc, clientId], column) => {
    const text = typeof value === "number" || typeof value === "boolean"
      ? String(value)
      : JSON.stringify(value);
    values += values === "" ? `"${column}":${text}` : `,"${column}":${text}`;
    if (life !== undefined && hlc === life.hlc && clientId === life.clientId) return;
    const stamp = `"${column}":["${hlc}",${JSON.stringify(clientId)}]`;
    stamps += stamps === "" ? stamp : `,${stamp}`;
  });
  const head = life === undefined
    ? "null,null,null"
    : `${life.alive},"${life.hlc}",${JSON.stringify(life.clientId)}`;
  // Joined, not added up: it is kept for a while, and a sum keeps all its parts.
  return (stamps === ""
    ? ["[", head, ",{", values, "}]"]
    : ["[", head, ",{", values, "},{", stamps, "}]"]).join("");
}

/**
 * The state that a text from {@linkcode rowToJson} stands for.
 *
 * @param text The text.
 * @returns The state.
 */
export function rowFromJson(text: string): RowState {
  const [alive, hlc, clientId, values, stamps] = JSON.parse(text) as StoredRow;
  const life = alive === null || hlc === null || clientId === null
    ? undefined
    : { alive, hlc, clientId };
  const columns = new Map<string, Register>();
  for (const column of Object.keys(values)) {
    const stamp = stamps !== undefined && Object.hasOwn(stamps, column)
      ? stamps[column]
      : undefined;
    columns.set(
      column,
      stamp === undefined
        ? [values[column]!, hlc!, clientId!]
        : [values[column]!, stamp[0], stamp[1]],
    );
  }
  return { life, columns };
}
