import { canonicalJson, type ColumnType, decodeBase64, type Delta } from "@lakesync/core";
import type { JsonValue } from "@lakesync/core";
import { changesColumns } from "./_changes.ts";
import type { Cell } from "./_duckdb.ts";
import type { AppColumn } from "./_layout.ts";
import type { Session } from "./_session.ts";
import { name } from "./_sql.ts";

const CHUNK_ROWS = 2048;

/** A delta with its place in a gateway's log, where it has one. */
export interface LoadedDelta {
  /** Its place; undefined for a device's own. */
  readonly seq: number | undefined;
  /** When the gateway took it, in ms. */
  readonly at: number | undefined;
  /** The delta. */
  readonly delta: Delta;
}

/** Fills a TEMP table with deltas, in the layout of a changelog. */
export class PendingTable {
  readonly #session: Session;
  readonly #table: string;
  readonly #columns: readonly AppColumn[];
  #rows: LoadedDelta[] = [];

  private constructor(session: Session, table: string, columns: readonly AppColumn[]) {
    this.#session = session;
    this.#table = table;
    this.#columns = columns;
  }

  /** Makes the table. */
  static async create(
    session: Session,
    { table, columns }: { table: string; columns: readonly AppColumn[] },
  ): Promise<PendingTable> {
    const list = changesColumns(columns).map((column) => `${name(column.name)} ${column.type}`);
    await session.run((connection) => connection.run(`CREATE TEMP TABLE ${name(table)} (${list})`));
    return new PendingTable(session, table, columns);
  }

  /** Adds a delta; it may be written out later. */
  async add(entry: LoadedDelta): Promise<void> {
    if (this.#rows.push(entry) === CHUNK_ROWS) await this.write();
  }

  /** Writes out what was added. */
  async write(): Promise<void> {
    const rows = this.#rows;
    if (rows.length === 0) return;
    this.#rows = [];
    const columns = changesColumns(this.#columns);
    const cells = cellsOf(rows, this.#columns);
    await this.#session.run((connection) =>
      connection.append(this.#table, { columns, count: rows.length, cells })
    );
  }
}

/** The values of deltas for each column of a changelog. */
function cellsOf(
  rows: readonly LoadedDelta[],
  columns: readonly AppColumn[],
): readonly (readonly Cell[])[] {
  const carried = rows.map(({ delta }) =>
    new Map(delta.columns.map(({ column, value }) => [column, value]))
  );
  return [
    rows.map(({ seq }) => seq === undefined ? null : BigInt(seq)),
    rows.map(({ delta }) => delta.op),
    rows.map(({ delta }) => delta.rowId),
    rows.map(({ delta }) => BigInt(delta.hlc)),
    rows.map(({ delta }) => delta.clientId),
    rows.map(({ delta }) => delta.txId ?? null),
    rows.map(({ at }) => at === undefined ? null : BigInt(Math.trunc(at * 1000))),
    carried.map((values) => {
      const names = columns.filter((column) => values.has(column.name));
      return names.length === 0 ? null : names.map((column) => column.name).join(",");
    }),
    ...columns.map((column) => {
      const convert = FROM_WIRE[column.type];
      return carried.map((values) => {
        const value = values.get(column.name);
        return value === undefined || value === null ? null : convert(value);
      });
    }),
  ];
}

/** A value in wire form (never null) as DuckDB holds it. */
const FROM_WIRE: Readonly<Record<ColumnType, (value: JsonValue) => Cell>> = {
  string: (value) => value as string,
  number: (value) => value as number,
  integer: (value) => BigInt(value as number | string),
  boolean: (value) => value as boolean,
  timestamp: (value) => {
    const text = value as string;
    const millis = BigInt(Date.parse(`${text.slice(0, 23)}Z`));
    return millis * 1000n + BigInt(text.slice(23, 26));
  },
  bytes: (value) => decodeBase64(value as string),
  json: (value) => canonicalJson(value),
};
