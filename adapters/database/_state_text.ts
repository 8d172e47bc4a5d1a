import type { Hlc, JsonValue, Life, Register, RowState, RowWrite } from "@lakesync/core";

/** A column: without a stamp where it has the one of the row's life, as an INSERT leaves it. */
type ColumnJson =
  | readonly [column: string, value: JsonValue]
  | readonly [column: string, value: JsonValue, hlc: Hlc, clientId: string];

/** A row's state as text: columns as pairs, because a column may be called `__proto__`. */
type StateJson = readonly [
  rowId: string,
  life: readonly [alive: boolean, hlc: Hlc, clientId: string] | null,
  columns: readonly ColumnJson[],
];

/** A row's key and state as one line of JSON. */
export function stateText(row: { readonly rowId: string; readonly state: RowState }): string {
  const { life, columns } = row.state;
  const listed: ColumnJson[] = [];
  columns.forEach(([value, hlc, clientId], column) => {
    const alike = life !== undefined && hlc === life.hlc && clientId === life.clientId;
    listed.push(alike ? [column, value] : [column, value, hlc, clientId]);
  });
  const json: StateJson = [
    row.rowId,
    life === undefined ? null : [life.alive, life.hlc, life.clientId],
    listed,
  ];
  return JSON.stringify(json);
}

/** The row of a text that {@linkcode stateText} made. */
export function parseStateText(text: string, table: string): RowWrite {
  const [rowId, held, registers] = JSON.parse(text) as StateJson;
  const life: Life | undefined = held === null
    ? undefined
    : { alive: held[0], hlc: held[1], clientId: held[2] };
  const columns = new Map<string, Register>();
  for (const [column, value, hlc, clientId] of registers) {
    columns.set(column, [value, hlc ?? life!.hlc, clientId ?? life!.clientId]);
  }
  return { table, rowId, state: { life, columns } };
}
