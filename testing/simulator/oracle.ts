/**
 * PROTOCOL's merge written a second time, in another way than the product: a row is the bag of all
 * registers that were ever written to it, and what shows is worked out from the whole bag each time.
 * Nothing here may come from the product's own merge.
 */
import type { Delta, JsonValue } from "@lakesync/core";

/** One register: what somebody wrote at a stamp. */
export interface Written {
  /** The column; undefined is the row's life. */
  readonly column: string | undefined;
  /** The value; for the life `true` where alive. */
  readonly value: JsonValue;
  readonly hlc: bigint;
  readonly clientId: string;
}

/** All registers of each row, by table and id. */
export type Bags = Map<string, Map<string, Written[]>>;

/** A row that shows: its columns, and the registers that make it. */
export interface OracleRow {
  readonly values: ReadonlyMap<string, JsonValue>;
  readonly written: readonly Written[];
}

/** The rows that show, by table and id. */
export type OracleRows = ReadonlyMap<string, ReadonlyMap<string, OracleRow>>;

/** Puts a delta's registers into its row's bag. */
export function addDelta(bags: Bags, delta: Delta): void {
  const bag = bagOf(bags, delta.table, delta.rowId);
  const hlc = BigInt(delta.hlc);
  const { clientId } = delta;
  if (delta.op !== "UPDATE") {
    bag.push({ column: undefined, value: delta.op === "INSERT", hlc, clientId });
  }
  for (const { column, value } of delta.columns) bag.push({ column, value, hlc, clientId });
}

/** Puts what a visible row is made of into the bags. */
export function addRows(bags: Bags, rows: OracleRows): void {
  for (const [table, byId] of rows) {
    for (const [id, row] of byId) bagOf(bags, table, id).push(...row.written);
  }
}

/** What shows. */
export function visibleRows(bags: Bags): OracleRows {
  const shown = new Map<string, Map<string, OracleRow>>();
  for (const [table, byId] of bags) {
    const rows = new Map<string, OracleRow>();
    for (const [id, bag] of byId) {
      const row = visibleRow(bag);
      if (row !== undefined) rows.set(id, row);
    }
    shown.set(table, rows);
  }
  return shown;
}

/** What a bag shows as; undefined where its row is not visible. */
export function visibleRow(bag: readonly Written[]): OracleRow | undefined {
  let life: Written | undefined;
  for (const one of bag) {
    if (one.column === undefined && (life === undefined || beats(one, life))) life = one;
  }
  if (life?.value !== true) return undefined;
  const winners = new Map<string, Written>();
  for (const one of bag) {
    if (one.column === undefined || compareStamps(one, life) < 0) continue;
    const best = winners.get(one.column);
    if (best === undefined || beats(one, best)) winners.set(one.column, one);
  }
  return {
    values: new Map([...winners].map(([column, { value }]) => [column, value])),
    written: [life, ...winners.values()],
  };
}

/** Whether a bag has a life register, dead or alive. */
export function hasLife(bag: readonly Written[] | undefined): boolean {
  return bag !== undefined && bag.some(({ column }) => column === undefined);
}

/** The order of stamps: by hlc, then by the client's name. */
export function compareStamps(
  a: { readonly hlc: bigint; readonly clientId: string },
  b: { readonly hlc: bigint; readonly clientId: string },
): number {
  if (a.hlc !== b.hlc) return a.hlc < b.hlc ? -1 : 1;
  // Names here are ASCII, where code units and code points have one order.
  return a.clientId === b.clientId ? 0 : a.clientId < b.clientId ? -1 : 1;
}

function beats(a: Written, b: Written): boolean {
  const order = compareStamps(a, b);
  if (order !== 0) return order > 0;
  // At one stamp dead wins over alive, and the greater text among values (here: of ASCII).
  if (a.column === undefined) return a.value === false && b.value === true;
  return textOf(a.value) > textOf(b.value);
}

function textOf(value: JsonValue): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return JSON.stringify(value);
  }
  const members = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  return `{${
    members.map(([key, member]) => `${JSON.stringify(key)}:${textOf(member)}`).join(",")
  }}`;
}

function bagOf(bags: Bags, table: string, rowId: string): Written[] {
  let byId = bags.get(table);
  if (byId === undefined) bags.set(table, byId = new Map());
  let bag = byId.get(rowId);
  if (bag === undefined) byId.set(rowId, bag = []);
  return bag;
}
