import { compactTable, filesCatalogue, icebergDestination } from "@lakesync/adapter-iceberg";
import { memoryObjectStore } from "@lakesync/adapter-memory";
import { type Delta, type FlushEntry, unwrapOrThrow } from "@lakesync/core";
import { assertEquals, assertMatch } from "@std/assert";
import { test } from "../test.ts";
import { Line } from "./line.ts";
import { stateFault } from "./state_check.ts";
import { schemasOf } from "./tables.ts";

const schema = schemasOf(1)[1]!;

function delta(op: Delta["op"], rowId: string, hlc: number, body?: string): Delta {
  const columns = body === undefined ? [] : [{ column: "body", value: body }];
  const of = { op, table: "notes", rowId, clientId: "a", hlc: String(hlc << 16) };
  return { ...of, columns, deltaId: `${rowId}-${hlc}` } as Delta;
}

const DELTAS = [
  delta("INSERT", "r1", 1, "one"),
  delta("INSERT", "r2", 2, "two"),
  delta("UPDATE", "r1", 3, "three"),
  delta("DELETE", "r2", 4),
];

/** A lake with these deltas, folded up to one of them. */
async function lakeOf(deltas: readonly Delta[], folded: number) {
  const catalogue = filesCatalogue(memoryObjectStore());
  const destination = icebergDestination({ catalogue });
  let from: { epoch: string; seq: number } | undefined;
  for (const end of [folded, deltas.length]) {
    const first = from?.seq ?? 0;
    const to = { epoch: "e", seq: end };
    const entries = async function* (): AsyncGenerator<FlushEntry[]> {
      yield deltas.slice(first, end).map((delta, i) => ({ seq: first + i + 1, at: 1, delta }));
    };
    const tables = new Map([["notes", { schema, from }]]);
    unwrapOrThrow(await destination.write({ id: `b${end}`, to, tables, entries: entries() }));
    from = to;
    if (end === folded) unwrapOrThrow(await compactTable({ catalogue, table: "notes" }));
  }
  return catalogue;
}

const about = (deltas: readonly Delta[], complete: boolean) => {
  const line = new Line();
  line.append(deltas);
  return { schemas: [schema], line, epoch: "e", mixed: false, complete, checked: () => {} };
};

test("a lake whose rows are those of its log has no fault, with changes that are not folded yet", async () => {
  for (const folded of [1, 2, 3]) {
    const lake = await lakeOf(DELTAS, folded);
    assertEquals(await stateFault(lake, about(DELTAS, false)), undefined);
  }
});

test("rows that are not those of the log are a fault, and in the end rows that are behind", async () => {
  const lake = await lakeOf(DELTAS, 2);
  const other = DELTAS.with(1, delta("INSERT", "r2", 2, "another"));
  assertMatch(String(await stateFault(lake, about(other, false))), /notes at 2 shows .*two/);
  assertMatch(String(await stateFault(lake, about(DELTAS, true))), /^notes shows .*and not/);
});

test("a changelog's snapshot that is no beginning of the log is a fault", async () => {
  const lake = await lakeOf(DELTAS, 2);
  const fewer = DELTAS.slice(0, 3);
  assertMatch(String(await stateFault(lake, about(fewer, false))), /notes_changes at .* of 4 has/);
});
