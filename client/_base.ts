import {
  type CheckpointRow,
  type Delta,
  type Hlc,
  isIdentifier,
  type JsonValue,
  type Register,
  type RowState,
  type SqlTransaction,
} from "@lakesync/core";
import type { LocalTable } from "./_local_table.ts";

/**
 * A row of the base as text: `[hlc, clientId, { column: [value] or [value, hlc, clientId] }]`, the
 * short form where the column's stamp is that of the row's life. Only visible rows are in the base.
 */
type StoredRow = readonly [
  hlc: Hlc,
  clientId: string,
  columns: { readonly [column: string]: Register | readonly [Register[0]] },
];

/** The text for a visible state. */
export function encodeBase(state: RowState): string {
  const life = state.life!;
  let columns = "";
  for (const [name, register] of state.columns) {
    columns += registerText(columns, name, register, life.hlc, life.clientId);
  }
  return `["${life.hlc}",${JSON.stringify(life.clientId)},{${columns}}]`;
}

/** The text for the row that an INSERT makes, where there was none. */
export function encodeInserted(
  { hlc, clientId, columns }: Pick<Delta, "hlc" | "clientId" | "columns">,
  table: LocalTable,
): string {
  let text = "";
  for (const { column, value } of columns) {
    if (!table.columns.has(column) && !isIdentifier(column)) continue;
    text += `${text === "" ? "" : ","}"${column}":[${valueText(value)}]`;
  }
  return `["${hlc}",${JSON.stringify(clientId)},{${text}}]`;
}

/**
 * The text for a checkpoint's row. Columns that this client does not know are in it, too: it may learn
 * of them.
 */
export function encodeBaseRow(row: CheckpointRow, table: LocalTable): string {
  const [hlc, clientId] = row.life;
  let columns = "";
  for (const name in row.columns) {
    if (!table.columns.has(name) && !isIdentifier(name)) continue;
    columns += registerText(columns, name, row.columns[name]!, hlc, clientId);
  }
  return `["${hlc}",${JSON.stringify(clientId)},{${columns}}]`;
}

function registerText(
  before: string,
  name: string,
  register: Register,
  hlc: Hlc,
  clientId: string,
): string {
  // A column's name is an identifier and a stamp is digits: neither needs escapes.
  const value = valueText(register[0]);
  const stamp = register[1] === hlc && register[2] === clientId
    ? ""
    : `,"${register[1]}",${JSON.stringify(register[2])}`;
  return `${before === "" ? "" : ","}"${name}":[${value}${stamp}]`;
}

function valueText(value: JsonValue): string {
  return typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : JSON.stringify(value);
}

/** The state that {@linkcode encodeBase}'s text stands for. */
export function decodeBase(text: string): RowState {
  const [hlc, clientId, columns] = JSON.parse(text) as StoredRow;
  const state: RowState = { life: { alive: true, hlc, clientId }, columns: new Map() };
  for (const name of Object.keys(columns)) {
    const register = columns[name]!;
    state.columns.set(name, register.length === 1 ? [register[0], hlc, clientId] : register);
  }
  return state;
}

/**
 * The base's states of these rows; a row that is not in the base is not in the map.
 *
 * Ids are not read back, here and elsewhere: Deno's node:sqlite ends a text at its first NUL.
 */
export async function readBase(
  tx: SqlTransaction,
  table: LocalTable,
  ids: readonly string[],
): Promise<Map<string, RowState>> {
  const rows = ids.length === 1
    ? await tx.all(`SELECT 0 AS i, state FROM ${table.base.name} WHERE id = ?`, [ids[0]!])
    : await tx.all(
      `SELECT j.key AS i, b.state FROM json_each(?) j CROSS JOIN ${table.base.name} b ON b.id = j.value`,
      [JSON.stringify(ids)],
    );
  return new Map(rows.map(({ i, state }) => [ids[i as number]!, decodeBase(state as string)]));
}
