import type { Delta } from "@lakesync/core";
import { assert, assertEquals } from "@std/assert";
import { test } from "../test.ts";
import { Line } from "./line.ts";

let ids = 0;

function delta(op: Delta["op"], rowId: string, hlc: number, txId?: string): Delta {
  return {
    op,
    table: "t",
    rowId,
    clientId: "a",
    hlc: String(hlc),
    columns: op === "DELETE" ? [] : [{ column: "x", value: hlc }],
    deltaId: `d${ids++}`,
    ...(txId !== undefined && { txId }),
  };
}

test("a transaction ends with the last of a run of one txId in one append", () => {
  const line = new Line();
  line.append([
    delta("INSERT", "1", 1),
    delta("INSERT", "2", 2, "t"),
    delta("INSERT", "3", 3, "t"),
  ]);
  line.append([delta("INSERT", "4", 4)]);
  assertEquals([0, 1, 2, 3, 4].map((seq) => line.isBoundary(seq)), [true, true, false, true, true]);
});

test("a delta that is there already is a fault", () => {
  const line = new Line();
  const one = delta("INSERT", "1", 1);
  assertEquals(line.append([one]), undefined);
  assert(line.append([one])?.endsWith("is at seq 1 already") === true);
});

test("STALE is right only for a row that was purged, up to the greatest stamp of what was", () => {
  const line = new Line();
  line.append([
    delta("INSERT", "gone", 1),
    delta("DELETE", "gone", 5),
    delta("INSERT", "there", 2),
  ]);
  assert(line.staleFault(delta("UPDATE", "gone", 3)) !== undefined);
  line.trim(3);
  assertEquals(line.staleFault(delta("UPDATE", "gone", 3)), undefined);
  assert(line.staleFault(delta("UPDATE", "gone", 6)) !== undefined);
  assert(line.staleFault(delta("UPDATE", "there", 3)) !== undefined);
});

test("what a restored log had trimmed may be sent up again", () => {
  const line = new Line();
  const first = delta("INSERT", "1", 1);
  line.append([first, delta("INSERT", "2", 2), delta("INSERT", "3", 3)]);
  const restored = line.fork(2, 1);
  assertEquals(restored.head, 2);
  assertEquals(restored.append([first]), undefined);
  assert(restored.append([first]) === undefined);
});
