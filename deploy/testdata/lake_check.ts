import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { icebergLake } from "@lakesync/adapter-iceberg";
import { openAnalyst, type PendingDeltas } from "@lakesync/analyst";
import {
  type AppValue,
  canonicalJson,
  type ColumnSchema,
  compareCodePoints,
  fromWire,
  type Hlc,
  type JsonValue,
  type ObjectStore,
  type SqlValue,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { assertEquals } from "@std/assert";
import type { Accepted, OracleRows } from "./history.ts";

type Row = { readonly [column: string]: unknown };

/** A column's value as a query of the lake shows it. */
function inLake(column: ColumnSchema, value: JsonValue): AppValue {
  return column.type === "json" && value !== null ? canonicalJson(value) : fromWire(column, value);
}

/** A column's value as a query of a device shows it. */
function onDevice(column: ColumnSchema, value: JsonValue): SqlValue {
  if (value === null) return null;
  if (column.type === "boolean") return Number(value);
  return inLake(column, value) as SqlValue;
}

/** A table's rows as an oracle has them, the way that one place or another shows them. */
export function expectedRows(
  rows: OracleRows,
  schema: TableSchema,
  place: "lake" | "device",
): Row[] {
  const show = place === "lake" ? inLake : onDevice;
  return [...rows.get(schema.table) ?? []]
    .sort(([a], [b]) => compareCodePoints(a, b))
    .map(([id, state]) =>
      Object.fromEntries([
        ["id", id],
        ...schema.columns.map((column) => [
          column.name,
          show(column, state.columns.get(column.name)?.[0] ?? null),
        ]),
      ])
    );
}

/** A table's changelog as the lake must have it. */
function expectedChanges(accepted: readonly Accepted[], schema: TableSchema): Row[] {
  return accepted.filter(({ delta }) => delta.table === schema.table).map(({ seq, at, delta }) => {
    const carried = new Map(delta.columns.map(({ column, value }) => [column, value]));
    const names = schema.columns.filter(({ name }) => carried.has(name)).map(({ name }) => name);
    return {
      _seq: seq,
      _op: delta.op,
      id: delta.rowId,
      _hlc: BigInt(delta.hlc),
      _client_id: delta.clientId,
      _tx_id: delta.txId ?? null,
      _commit_ts: `${new Date(at).toISOString().slice(0, -1)}000Z`,
      _columns: names.length === 0 ? null : names.join(","),
      ...Object.fromEntries(
        schema.columns.map((
          column,
        ) => [column.name, inLake(column, carried.get(column.name) ?? null)]),
      ),
    };
  });
}

/** Holds what an analyst sees to what was accepted. */
export async function checkLake(
  store: ObjectStore,
  options: {
    directory: string;
    schemas: readonly TableSchema[];
    accepted: readonly Accepted[];
    rows: (asOf?: Hlc) => OracleRows;
    asOf: readonly Hlc[];
    pending?: PendingDeltas;
  },
): Promise<void> {
  const { directory, schemas, accepted, rows, asOf, pending } = options;
  // DuckDB reads files only.
  await exportObjects(store, directory);
  const analyst = unwrapOrThrow(
    await openAnalyst({
      lake: icebergLake({ store }),
      threads: 1,
      locate: ({ key }) => join(directory, key),
      ...(pending !== undefined && { pending }),
    }),
  );
  try {
    const known = new Set(unwrapOrThrow(await analyst.tables()));
    for (const schema of schemas) {
      const { table } = schema;
      const changes = expectedChanges(accepted, schema);
      // A table that never had a delta is not made.
      if (changes.length === 0 && !known.has(table)) continue;
      const log = unwrapOrThrow(
        await analyst.query(`SELECT * FROM ${table}_changes ORDER BY _seq`),
      );
      const what = `${pending === undefined ? "flushed" : "flushed or pending"} seqs of ${table}`;
      assertEquals(log.rows.map(({ _seq }) => _seq), changes.map(({ _seq }) => _seq), what);
      assertEquals(
        log.rows.map((row) => ({
          ...blank(schema, row),
          _hlc: BigInt(row._hlc as number | bigint),
        })),
        changes,
      );
      for (const stamp of [undefined, ...asOf]) {
        const query = await analyst.query(
          `SELECT * FROM ${table} ORDER BY id`,
          stamp === undefined ? {} : { asOf: stamp },
        );
        assertEquals(
          unwrapOrThrow(query).rows.map((row) => blank(schema, row)),
          expectedRows(rows(stamp), schema, "lake"),
          `${table} as of ${stamp ?? "now"}`,
        );
      }
    }
  } finally {
    await analyst.close();
  }
}

/** A row in which columns that no delta in the lake was ever flushed with are null. */
function blank(schema: TableSchema, row: Row): Row {
  const columns = schema.columns.map(({ name }) => [name, row[name] ?? null]);
  return { ...row, ...Object.fromEntries(columns) };
}

async function exportObjects(store: ObjectStore, directory: string): Promise<void> {
  const { objects } = unwrapOrThrow(await store.list("", { limit: 100_000 }));
  for (const { key } of objects) {
    if (!key.endsWith(".parquet")) continue;
    const path = join(directory, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, unwrapOrThrow(await store.get(key)));
  }
}
