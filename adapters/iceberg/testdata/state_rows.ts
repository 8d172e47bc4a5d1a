/** What the tests of compaction and maintenance share. */
import fc from "fast-check";
import {
  type ColumnChange,
  type Delta,
  emptyRow,
  type FlushEntry,
  isVisible,
  mergeDelta,
  type ObjectStore,
  type RowState,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import type { Catalogue } from "../catalogue.ts";
import { filesCatalogue } from "../catalogue_files.ts";
import { icebergDestination } from "../destination.ts";
import { snapshotById } from "../metadata.ts";
import { readColumns } from "../parquet_read.ts";
import { rowAt, stateFile } from "../state_columns.ts";
import { branchFiles } from "../compact_files.ts";
import { GoneRows } from "../compact_gone.ts";
import { HIDDEN_BRANCH, statePlan } from "../state_schema.ts";
import { fromStateRow } from "../state_row.ts";
import { presentSchema } from "../table.ts";
import { entry, flush, NOON } from "./lake_rows.ts";

/** A table with a column of each type, and names that bite. */
export const ALL: TableSchema = {
  table: "all",
  version: 1,
  columns: [
    { name: "s", type: "string", nullable: true },
    { name: "d", type: "number", nullable: true },
    { name: "i", type: "integer", nullable: true },
    { name: "b", type: "boolean", nullable: true },
    { name: "t", type: "timestamp", nullable: true },
    { name: "x", type: "bytes", nullable: true },
    { name: "j", type: "json", nullable: true },
    { name: "__proto__", type: "string", nullable: true },
    { name: "_stamps", type: "string", nullable: true },
  ],
};

const VALUES: readonly (readonly [string, fc.Arbitrary<ColumnChange["value"]>])[] = [
  ["s", fc.constantFrom("", "a", "\uFEFFa", "é", "😀 long text that is longer than bounds")],
  ["d", fc.constantFrom(0, -1.5, 1e300, 5e-324)],
  ["i", fc.constantFrom(0, -7, "9223372036854775807", "-9223372036854775808")],
  ["b", fc.boolean()],
  ["t", fc.constantFrom("1969-12-31T23:59:59.999999Z", "2026-01-01T00:00:00.000001Z")],
  ["x", fc.constantFrom("", "AAEC", "//79")],
  ["j", fc.constantFrom([1, { a: null }], "text", 0, {})],
  ["__proto__", fc.constantFrom("p", "q")],
  ["_stamps", fc.constantFrom("{}", "null")],
];

const columns: fc.Arbitrary<ColumnChange[]> = fc.subarray([...VALUES]).chain((chosen) =>
  fc.tuple(
    ...chosen.map(([column, values]) =>
      fc.option(values, { freq: 4 }).map((value): ColumnChange => ({ column, value }))
    ),
  )
);

/** Deltas on few rows by few clients at few stamps, so that all that merging knows comes up. */
export const deltas: fc.Arbitrary<Delta> = fc.record({
  op: fc.constantFrom("INSERT", "UPDATE", "UPDATE", "DELETE"),
  rowId: fc.constantFrom(
    "r1",
    "\uFEFFr1",
    "r2",
    "r3",
    "é",
    "😀",
    "a long id that is longer than a bound",
  ),
  clientId: fc.constantFrom("alice", "bob"),
  hlc: fc.oneof(
    fc.integer({ min: 1, max: 12 }).map(String),
    fc.constantFrom("9223372036854775808", "18446744073709551615"),
  ),
  columns,
}).map((content): Delta => ({
  table: "all",
  deltaId: "",
  ...content,
  columns: content.op === "DELETE" ? [] : content.columns,
} as Delta));

/** So many rows, each an INSERT. */
export function manyRows(count: number): Delta[] {
  return Array.from({ length: count }, (_, i): Delta => ({
    op: "INSERT",
    table: "all",
    rowId: `row ${i}`,
    clientId: "alice",
    hlc: "5",
    columns: [{ column: "s", value: `value ${i}` }, { column: "i", value: i }],
    deltaId: "",
  }));
}

/** The rows that deltas amount to, by the merge that all of LakeSync shares. */
export function oracle(list: readonly Delta[]): ReadonlyMap<string, RowState> {
  const rows = new Map<string, RowState>();
  for (const delta of list) {
    let row = rows.get(delta.rowId);
    if (row === undefined) rows.set(delta.rowId, row = emptyRow());
    mergeDelta(row, delta);
  }
  return rows;
}

/** What shows of rows: their values by column, without nulls, in the order of their ids. */
export function visible(rows: ReadonlyMap<string, RowState>): unknown[] {
  return [...rows].filter(([, row]) => isVisible(row)).map(([id, row]) => [
    id,
    new Map(
      [...row.columns].filter(([, [value]]) => value !== null)
        .map(([name, [value]]): [string, unknown] => [name, value])
        .sort(([a], [b]) => a < b ? -1 : 1),
    ),
  ]).sort(([a], [b]) => String(a) < String(b) ? -1 : 1);
}

/** A state table's rows as they show, at its newest or another snapshot. */
export async function readState(
  lake: ObjectStore | Catalogue,
  table: string,
  snapshotId?: bigint,
): Promise<unknown[]> {
  return visible((await readBranch(lake, { table, branch: "main", snapshotId })).rows);
}

/** All registers of a state table. */
export async function readRegisters(
  lake: ObjectStore | Catalogue,
  table: string,
): Promise<ReadonlyMap<string, RowState>> {
  const live = await readBranch(lake, { table, branch: "main" });
  const hidden = await readBranch(lake, { table, branch: HIDDEN_BRANCH });
  return new Map([...live.rows, ...hidden.rows]);
}

async function readBranch(
  lake: ObjectStore | Catalogue,
  { table, branch, snapshotId }: {
    table: string;
    branch: string;
    snapshotId?: bigint | undefined;
  },
): Promise<{ rows: Map<string, RowState> }> {
  const catalogue = "store" in lake ? lake : filesCatalogue(lake);
  const { store } = catalogue;
  const rows = new Map<string, RowState>();
  const version = unwrapOrThrow(await catalogue.load(table));
  if (version === undefined) return { rows };
  let { metadata } = version;
  if (snapshotId !== undefined) {
    if (snapshotById(metadata, snapshotId) === undefined) throw new Error("no such snapshot");
    metadata = { ...metadata, "current-snapshot-id": snapshotId };
  }
  const schema = unwrapOrThrow(presentSchema(table, metadata));
  const plan = unwrapOrThrow(statePlan(table, metadata, schema));
  const { data, deletes } = unwrapOrThrow(
    await branchFiles(catalogue, { table, metadata, branch }),
  );
  const gone = await GoneRows.read(store, [...deletes.values()].flat());
  for (const one of [...data.values()].flat()) {
    const { key, file: { rows: count } } = one;
    const file = stateFile(
      await readColumns(unwrapOrThrow(await store.get(key))),
      plan.columns,
    );
    if (file.rows !== Number(count)) throw new Error("a count is wrong");
    for (let row = 0; row < file.rows; row++) {
      if (gone.has(one, row, file.id[row]!)) continue;
      if (rows.has(file.id[row]!)) throw new Error(`row "${file.id[row]}" is there twice`);
      const alive = branch === "main";
      rows.set(file.id[row]!, fromStateRow(rowAt(file, row), { columns: plan.columns, alive }));
    }
  }
  return { rows };
}

/** Flushes deltas as the entries above `after`. */
export async function flushDeltas(
  lake: ObjectStore | Catalogue,
  list: readonly Delta[],
  options: { readonly after: number; readonly schema?: TableSchema; readonly at?: number },
): Promise<void> {
  const { after, schema = ALL, at = NOON } = options;
  const entries: FlushEntry[] = list.map((delta, i) => entry(after + i + 1, { ...delta, at }));
  const outcome = (await flush(
    icebergDestination("store" in lake ? { catalogue: lake } : { store: lake }),
    entries,
    {
      schemas: [schema],
      from: after === 0 ? undefined : { epoch: "e", seq: after },
    },
  )).get(schema.table);
  if (outcome?.status !== "committed") throw new Error(JSON.stringify(outcome));
}
