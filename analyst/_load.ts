import {
  BIGINT,
  BLOB,
  blobValue,
  BOOLEAN,
  DOUBLE,
  type DuckDBAppender,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBTimestampTZValue,
  type DuckDBType,
  type DuckDBValue,
  TIMESTAMPTZ,
  VARCHAR,
} from "@duckdb/node-api";
import { canonicalJson, type ColumnType, decodeBase64, type Delta } from "@lakesync/core";
import type { JsonValue } from "@lakesync/core";
import { changesColumns } from "./_changes.ts";
import type { AppColumn } from "./_layout.ts";
import { name } from "./_sql.ts";

const CHUNK_ROWS = 2048;

const TYPES: ReadonlyMap<string, DuckDBType> = new Map<string, DuckDBType>([
  ["BIGINT", BIGINT],
  ["BLOB", BLOB],
  ["BOOLEAN", BOOLEAN],
  ["DOUBLE", DOUBLE],
  ["TIMESTAMPTZ", TIMESTAMPTZ],
  ["VARCHAR", VARCHAR],
]);

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
  readonly #columns: readonly AppColumn[];
  readonly #types: readonly DuckDBType[];
  readonly #appender: DuckDBAppender;
  #rows: LoadedDelta[] = [];
  /** How many deltas it was given. */
  count: number = 0;

  private constructor(columns: readonly AppColumn[], appender: DuckDBAppender) {
    this.#columns = columns;
    this.#types = changesColumns(columns).map(({ type }) => TYPES.get(type)!);
    this.#appender = appender;
  }

  /** Makes the table. */
  static async create(
    connection: DuckDBConnection,
    options: { table: string; columns: readonly AppColumn[] },
  ): Promise<PendingTable> {
    const { table, columns } = options;
    const list = changesColumns(columns).map((column) => `${name(column.name)} ${column.type}`);
    await connection.run(`CREATE TEMP TABLE ${name(table)} (${list})`);
    return new PendingTable(columns, await connection.createAppender(table, "main", "temp"));
  }

  /** Adds a delta. */
  add(entry: LoadedDelta): void {
    this.count++;
    this.#rows.push(entry);
    if (this.#rows.length === CHUNK_ROWS) this.#write();
  }

  /** Writes out what was added. Nothing can be added afterwards. */
  finish(): void {
    if (this.#rows.length > 0) this.#write();
    this.#appender.closeSync();
  }

  /** Gives up: what was added is of no more use. */
  discard(): void {
    this.#rows = [];
    try {
      this.#appender.closeSync();
    } catch {
      // The connection is closed already, and the appender with it.
    }
  }

  #write(): void {
    const rows = this.#rows;
    this.#rows = [];
    const values: DuckDBValue[][] = [
      rows.map(({ seq }) => seq === undefined ? null : BigInt(seq)),
      rows.map(({ delta }) => delta.op),
      rows.map(({ delta }) => delta.rowId),
      rows.map(({ delta }) => BigInt(delta.hlc)),
      rows.map(({ delta }) => delta.clientId),
      rows.map(({ delta }) => delta.txId ?? null),
      rows.map(({ at }) =>
        at === undefined ? null : new DuckDBTimestampTZValue(BigInt(Math.trunc(at * 1000)))
      ),
    ];
    const carried = rows.map(({ delta }) =>
      new Map(delta.columns.map(({ column, value }) => [column, value]))
    );
    values.push(carried.map((columns) => {
      const names = this.#columns.filter((column) => columns.has(column.name));
      return names.length === 0 ? null : names.map((column) => column.name).join(",");
    }));
    for (const column of this.#columns) {
      const convert = FROM_WIRE[column.type];
      values.push(carried.map((columns) => {
        const value = columns.get(column.name);
        return value === undefined || value === null ? null : convert(value);
      }));
    }
    const chunk = DuckDBDataChunk.create(this.#types, rows.length);
    chunk.setColumns(values);
    this.#appender.appendDataChunk(chunk);
  }
}

/** A value in wire form (never null) as DuckDB holds it. */
const FROM_WIRE: Readonly<Record<ColumnType, (value: JsonValue) => DuckDBValue>> = {
  string: (value) => value as string,
  number: (value) => value as number,
  integer: (value) => BigInt(value as number | string),
  boolean: (value) => value as boolean,
  timestamp: (value) => {
    const text = value as string;
    const millis = BigInt(Date.parse(`${text.slice(0, 23)}Z`));
    return new DuckDBTimestampTZValue(millis * 1000n + BigInt(text.slice(23, 26)));
  },
  bytes: (value) => blobValue(decodeBase64(value as string)),
  json: (value) => canonicalJson(value),
};
