import type { Catalogue } from "@lakesync/adapter-iceberg";
import type { JsonValue, TableSchema, Watermark } from "@lakesync/core";
import { deltaOf, wireValue } from "./lake_check.ts";
import { type LakeRow, readChanges, readTable, snapshotsOf } from "./lake_reader.ts";
import type { Line } from "./line.ts";
import {
  addDelta,
  type Bags,
  type OracleRow,
  visibleRow,
  visibleRows,
  type Written,
} from "./oracle.ts";

/** What tables of current rows are held to. */
export interface StateCheckOptions {
  readonly schemas: readonly TableSchema[];
  /** The log that is flushed now. */
  readonly line: Line;
  /** Its epoch. */
  readonly epoch: string;
  /** Whether the lake has entries of other logs, too. */
  readonly mixed: boolean;
  /** Whether each table must have all that is in its changelog. */
  readonly complete: boolean;
  /** Called for each snapshot that was looked at. */
  readonly checked: (what: string) => void;
}

/**
 * What is wrong with the tables of current rows; undefined where each snapshot that one remembers shows
 * the oracle's rows of the log up to its watermark, and the newest one, with the changes behind it, those
 * of the whole changelog. Each snapshot that a changelog remembers is a whole beginning of the log.
 */
export async function stateFault(
  lake: Catalogue,
  options: StateCheckOptions,
): Promise<string | undefined> {
  const { schemas, line, epoch, mixed, complete, checked } = options;
  for (const schema of schemas) {
    const { table } = schema;
    const changes = (await readChanges(lake, table)).map((row) => ({
      seq: Number(row.get("_seq")),
      delta: deltaOf(row, schema),
    }));
    for (const { id, watermark } of (await snapshotsOf(lake, `${table}_changes`)).main) {
      const seqs = (await readChanges(lake, table, id)).map((row) => Number(row.get("_seq")));
      checked("check changes snapshot");
      if (mixed || watermark?.epoch !== epoch) continue;
      const wanted = seqsOf(line, table, watermark);
      if (seqs.join() !== wanted.join()) {
        return `${table}_changes at ${id} of ${watermark.seq} has ${seqs} and not ${wanted}`;
      }
    }
    const { main, hidden } = await snapshotsOf(lake, table);
    for (const { id, watermark } of main) {
      const shown = shownText(await registersOf(lake, { schema, live: id }), schema);
      checked("check state snapshot");
      if (mixed || watermark?.epoch !== epoch) continue;
      const wanted = rowsText(line.bagsAt(Math.min(watermark.seq, line.head)), schema);
      if (shown !== wanted) return `${table} at ${watermark.seq} shows ${shown} and not ${wanted}`;
    }
    const newest = main.at(-1);
    if (newest === undefined) {
      if (complete && changes.length > 0) return `there is no table ${table} of current rows`;
      continue;
    }
    const bags: Bags = new Map();
    for (const { delta } of changes) addDelta(bags, delta);
    const all = rowsText(bags, schema);
    const state = await registersOf(lake, { schema, live: newest.id, hidden });
    checked("check state union");
    if (complete && shownText(state, schema) !== all) {
      return `${table} shows ${shownText(state, schema)} and not ${all}`;
    }
    const { watermark } = newest;
    const folded = !mixed && watermark?.epoch === epoch ? watermark.seq : 0;
    for (const { seq, delta } of changes) if (seq > folded) addDelta(state, delta);
    const union = rowsText(state, schema);
    if (union !== all) return `${table} with newer changes shows ${union} and not ${all}`;
  }
  return undefined;
}

function seqsOf(line: Line, table: string, { seq }: Watermark): readonly number[] {
  return line.entries.slice(0, seq).filter(({ delta }) => delta.table === table)
    .map((entry) => entry.seq);
}

/** What a table of current rows says was written: of the rows that show, and of the hidden ones. */
async function registersOf(
  lake: Catalogue,
  { schema, live, hidden }: { schema: TableSchema; live: bigint; hidden?: bigint | undefined },
): Promise<Bags> {
  const byId = new Map<string, Written[]>();
  const add = (row: LakeRow, alive: boolean): void => {
    const id = row.get("id") as string;
    if (byId.has(id)) throw new TypeError(`row ${id} of ${schema.table} is there twice`);
    byId.set(id, writtenIn(row, { schema, alive }));
  };
  for (const row of await readTable(lake, schema.table, live)) add(row, true);
  if (hidden !== undefined) {
    for (const row of await readTable(lake, schema.table, hidden)) add(row, false);
  }
  return new Map([[schema.table, byId]]);
}

/** The registers of a row, by what docs/lake.md says of `_stamps`. */
function writtenIn(
  row: LakeRow,
  { schema, alive }: { schema: TableSchema; alive: boolean },
): Written[] {
  const hlc = BigInt.asUintN(64, row.get("_hlc") as bigint);
  const clientId = row.get("_client_id") as string;
  const text = row.get("_stamps") as string | null;
  const stamps = new Map(Object.entries(JSON.parse(text ?? "{}") as { [name: string]: string }));
  const written: Written[] = [];
  if (hlc !== 0n) written.push({ column: undefined, value: alive, hlc, clientId });
  for (const { name } of schema.columns) {
    const value: JsonValue = wireValue(row.get(name), schema, name);
    const stamp = stamps.get(name);
    if (stamp !== undefined) {
      const of = { hlc: BigInt(`0x${stamp.slice(0, 16)}`), clientId: stamp.slice(16) };
      written.push({ column: name, value, ...of });
    } else if (value !== null) written.push({ column: name, value, hlc, clientId });
  }
  return written;
}

/** The rows of a table that stand there as they are: each of them must show. */
function shownText(state: Bags, schema: TableSchema): string {
  for (const [id, bag] of state.get(schema.table) ?? []) {
    const alive = bag.some(({ column, value }) => column === undefined && value === true);
    if (alive && visibleRow(bag) === undefined) throw new TypeError(`row ${id} does not show`);
  }
  return rowsText(state, schema);
}

function rowsText(bags: Bags, { table, columns }: TableSchema): string {
  const rows = visibleRows(bags).get(table) ?? new Map<string, OracleRow>();
  return [...rows].sort(([a], [b]) => a < b ? -1 : 1).map(([id, { values, written }]) =>
    JSON.stringify([
      id,
      ...columns.map(({ name }) => values.get(name) ?? null),
      // Later changes are merged by these.
      ...written.map(({ column, hlc, clientId }) => `${column ?? ""}@${hlc} ${clientId}`).sort(),
    ])
  ).join(" ");
}
