import type { Catalogue } from "@lakesync/adapter-iceberg";
import { type Delta, isHlc, type JsonValue, type TableSchema } from "@lakesync/core";
import { type LakeRow, readChanges } from "./lake_reader.ts";
import { describe, type Line } from "./line.ts";
import { addDelta, type Bags, type OracleRows, visibleRows } from "./oracle.ts";

/** What the lake is held to. */
export interface LakeCheckOptions {
  readonly schemas: readonly TableSchema[];
  /** The log that is flushed now, and those before it whose entries the lake may have too. */
  readonly line: Line;
  readonly before: readonly Line[];
  /** Whether everything up to the log's head must be there; else any whole beginning of it may. */
  readonly complete: boolean;
  /** Stamps as of which the lake is read. */
  readonly asOf: readonly bigint[];
}

/**
 * What is wrong with a lake; undefined where each table's changelog has every entry of a beginning of
 * the log exactly once, as it was, and shows the oracle's rows as of each stamp.
 */
export async function lakeFault(
  lake: Catalogue,
  options: LakeCheckOptions,
): Promise<string | undefined> {
  const { schemas, line, before, complete, asOf } = options;
  const found: Delta[] = [];
  const expected: Delta[] = [];
  for (const schema of schemas) {
    const rows = await readChanges(lake, schema.table);
    const left = new Map<string, number>();
    for (const row of rows) {
      const delta = deltaOf(row, schema);
      found.push(delta);
      const text = changeText(Number(row.get("_seq")), delta);
      left.set(text, (left.get(text) ?? 0) + 1);
    }
    // Each log in turn, the present one first: it must be there whole, or up to some entry.
    for (const one of [line, ...before]) {
      const entries = one.entries.filter(({ delta }) => delta.table === schema.table);
      let missing: string | undefined;
      for (const { seq, delta } of entries) {
        const text = changeText(seq, delta);
        const count = left.get(text) ?? 0;
        if (count === 0) {
          if (one === line && complete) return `${schema.table} lacks seq ${seq}: ${text}`;
          missing ??= text;
        } else if (missing !== undefined && one === line && before.length === 0) {
          return `${schema.table} has seq ${seq} and not what comes before it: ${missing}`;
        } else {
          left.set(text, count - 1);
          expected.push(delta);
        }
      }
    }
    const extra = [...left].find(([, count]) => count > 0);
    if (extra !== undefined) {
      return `${schema.table} has what it should not have, or twice: ${extra[0]}`;
    }
  }
  for (const stamp of [...asOf, 2n ** 64n]) {
    const shown = rowsText(rowsAsOf(found, stamp), schemas);
    const oracle = rowsText(rowsAsOf(expected, stamp), schemas);
    if (shown !== oracle) return `as of ${stamp} it shows ${shown} and not ${oracle}`;
  }
  return undefined;
}

/**
 * What is wrong with a lake that was made anew of the rows of a log that is trimmed; undefined where it
 * shows the oracle's rows in the end.
 */
export async function rebuiltFault(
  lake: Catalogue,
  { schemas, line, complete }: LakeCheckOptions,
): Promise<string | undefined> {
  if (!complete) return undefined;
  const bags: Bags = new Map();
  for (const schema of schemas) {
    for (const row of await readChanges(lake, schema.table)) addDelta(bags, deltaOf(row, schema));
  }
  const shown = rowsText(visibleRows(bags), schemas);
  const oracle = rowsText(line.rowsAt(line.head), schemas);
  return shown === oracle ? undefined : `made anew it shows ${shown} and not ${oracle}`;
}

/** The rows of a set of changes with stamps up to this one. */
function rowsAsOf(deltas: readonly Delta[], stamp: bigint): OracleRows {
  const bags: Bags = new Map();
  for (const delta of deltas) if (BigInt(delta.hlc) <= stamp) addDelta(bags, delta);
  return visibleRows(bags);
}

function rowsText(rows: OracleRows, schemas: readonly TableSchema[]): string {
  return schemas.map(({ table, columns }) =>
    [...rows.get(table) ?? []].sort(([a], [b]) => a < b ? -1 : 1).map(([id, { values }]) =>
      JSON.stringify([table, id, ...columns.map(({ name }) => values.get(name) ?? null)])
    ).join(" ")
  ).join(" ");
}

/** The delta that a row of a changelog stands for, without what the lake does not keep. */
export function deltaOf(row: LakeRow, schema: TableSchema): Delta {
  const carried = row.get("_columns") as string | null;
  const hlc = String(row.get("_hlc"));
  if (!isHlc(hlc)) throw new TypeError(`"${hlc}" in the lake is no stamp`);
  const txId = row.get("_tx_id") as string | null;
  return {
    op: row.get("_op") as Delta["op"],
    table: schema.table,
    rowId: row.get("id") as string,
    clientId: row.get("_client_id") as string,
    hlc,
    columns: (carried === null || carried === "" ? [] : carried.split(",")).map((column) => ({
      column,
      value: wireValue(row.get(column), schema, column),
    })),
    deltaId: "",
    ...(txId !== null && { txId }),
  };
}

/** A value of the lake in its wire form. */
export function wireValue(value: unknown, schema: TableSchema, column: string): JsonValue {
  const type = schema.columns.find(({ name }) => name === column)?.type;
  if (value === null || value === undefined) return null;
  if (typeof value === "bigint") return Number(value);
  if (type === "json" && typeof value === "string") return JSON.parse(value) as JsonValue;
  return value as JsonValue;
}

/** What tells one change from all others. */
function changeText(seq: number, delta: Delta): string {
  const columns = [...delta.columns].sort((a, b) => a.column < b.column ? -1 : 1);
  return `${seq} ${delta.txId ?? "-"} ${describe({ ...delta, columns, deltaId: "" })}`;
}
