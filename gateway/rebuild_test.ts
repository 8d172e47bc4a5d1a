import {
  emptyRow,
  isVisible,
  type LogStore,
  mergeDelta,
  type RowState,
  unwrapOrThrow,
} from "@lakesync/core";
import { insertTodo, makeDelta, ManualClock, Prng, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { deltasOf } from "./rebuild.ts";
import { memoryLogStore } from "./store_memory.ts";
import { FakeDestination } from "./testdata/fake_destination.ts";
import { deleteTodo, openGateway, push, updateTodo } from "./testdata/fixture.ts";
import type { Gateway } from "./gateway.ts";

const proto = (hlc: number) =>
  makeDelta({
    op: "INSERT",
    table: "__proto__",
    rowId: "p",
    clientId: "alice:phone",
    hlc: String(hlc),
    columns: [{ column: "constructor", value: "c" }],
  });

/** A gateway whose log reaches back to where `trimmed` says. */
async function open(
  lake: FakeDestination,
): Promise<{ gateway: Gateway; store: LogStore; clock: ManualClock }> {
  const clock = new ManualClock();
  const store = memoryLogStore({ clock });
  const gateway = await openGateway({
    store,
    destinations: [lake],
    limits: { retentionMs: 1000, maxLagMs: 1000 },
  });
  return { gateway, store, clock };
}

/** What a table of the destination shows: the merge of what it has got. */
function shown(lake: FakeDestination, table: string): Map<string, RowState> {
  const rows = new Map<string, RowState>();
  for (const { delta } of lake.tables.get(table)?.entries ?? []) {
    const state = rows.get(delta.rowId) ?? emptyRow();
    rows.set(delta.rowId, state);
    mergeDelta(state, delta);
  }
  return new Map([...rows].filter(([, state]) => isVisible(state)));
}

/** What the gateway shows, of rows that were not purged. */
async function held(store: LogStore, table: string): Promise<Map<string, RowState>> {
  const snapshot = unwrapOrThrow(await store.snapshot());
  const rows = new Map<string, RowState>();
  for await (const chunk of snapshot.rows([table])) {
    for (const { rowId, state } of chunk) if (isVisible(state)) rows.set(rowId, state);
  }
  await snapshot.close();
  return rows;
}

async function assertSame(lake: FakeDestination, store: LogStore): Promise<void> {
  for (const table of ["todos", "__proto__"]) {
    assertEquals(shown(lake, table), await held(store, table), table);
  }
}

test("a new destination of a trimmed log gets the rows as they are, then goes on with the log", async () => {
  const lake = new FakeDestination();
  const { gateway, store, clock } = await open(lake);
  await push(gateway, [
    insertTodo("a", 1),
    updateTodo("a", 2, { title: "two", note: null }),
    insertTodo("gone", 3),
    deleteTodo("gone", 4),
  ]);
  await clock.advance(1001);
  unwrapOrThrow(await gateway.trim());
  await push(gateway, [insertTodo("dead", 5), deleteTodo("dead", 6), insertTodo("b", 7)]);
  assertEquals(unwrapOrThrow(await gateway.stats()).trimmedSeq, 4);

  const { flushedSeq } = unwrapOrThrow(await gateway.flush());
  assertEquals(flushedSeq, 7);
  await assertSame(lake, store);
  const { hash } = unwrapOrThrow(await store.head());
  assertEquals(lake.tables.get("todos")?.mark, { epoch: store.epoch, seq: 7, hash });
  const ops = lake.tables.get("todos")!.entries.map(({ delta }) => `${delta.op} ${delta.rowId}`);
  assertEquals(ops.toSorted(), ["DELETE dead", "INSERT a", "INSERT b", "UPDATE a"]);

  // The other table was empty: its first row comes by the log.
  await push(gateway, [updateTodo("b", 8, { done: true }), proto(9)]);
  unwrapOrThrow(await gateway.flush());
  assertEquals(lake.batches.map(({ seqs }) => seqs), [[7, 7, 7, 7], [8, 9]]);
  await assertSame(lake, store);
  unwrapOrThrow(await gateway.flush());
  assertEquals(lake.batches.length, 2);
});

test("a destination that was cut off is refused until its tables are dropped, then rebuilt", async () => {
  const lake = new FakeDestination();
  const { gateway, store, clock } = await open(lake);
  await push(gateway, [insertTodo("a", 1), insertTodo("b", 2), proto(3)]);
  unwrapOrThrow(await gateway.flush());
  await push(gateway, [deleteTodo("b", 4), updateTodo("a", 5, { title: "x" })]);
  await clock.advance(1001);
  lake.faults.push("fail-before");
  assert(!(await gateway.flush()).ok);
  assertEquals(unwrapOrThrow(await gateway.stats()).trimmedSeq, 5);
  assertEquals(unwrapOrThrow(await gateway.stats()).destinations["lake"]?.cutOff, true);

  const refused = await gateway.flush();
  assert(!refused.ok);
  assertEquals([refused.error.code, refused.error.details], [
    "CONFLICT",
    { table: "todos", after: 3 },
  ]);
  lake.tables.delete("todos");
  unwrapOrThrow(await gateway.flush());
  await assertSame(lake, store);
  assertEquals(unwrapOrThrow(await gateway.stats()).destinations["lake"]?.cutOff, false);
});

test("one table that was dropped is rebuilt beside the others, which go on by the log", async () => {
  const lake = new FakeDestination();
  const { gateway, store, clock } = await open(lake);
  await push(gateway, [insertTodo("a", 1), proto(2)]);
  await clock.advance(1001);
  unwrapOrThrow(await gateway.flush());
  await push(gateway, [insertTodo("b", 3), renamed(proto(4), "q")]);
  assertEquals(unwrapOrThrow(await gateway.stats()).trimmedSeq, 2);
  lake.tables.delete("todos");
  unwrapOrThrow(await gateway.flush());
  await assertSame(lake, store);
  assertEquals(lake.seqs("__proto__"), [2, 4]);
  assertEquals(lake.seqs("todos"), [4, 4]);
});

function renamed(delta: ReturnType<typeof proto>, rowId: string): ReturnType<typeof proto> {
  const { deltaId: _, ...content } = delta;
  return makeDelta({ ...content, rowId });
}

test("a rebuilding that fails, or whose answer is lost, neither loses nor doubles a row", async () => {
  for (
    const fault of [
      "fail-before",
      "fail-after",
      "lose-answer",
      "throw-after",
      "first-only",
    ] as const
  ) {
    const lake = new FakeDestination();
    const { gateway, store, clock } = await open(lake);
    await push(gateway, [insertTodo("a", 1), updateTodo("a", 2, { title: "x" }), proto(3)]);
    await clock.advance(1001);
    unwrapOrThrow(await gateway.trim());
    lake.faults.push(fault);
    assert(!(await gateway.flush()).ok, fault);
    await push(gateway, [insertTodo("b", 4)]);
    unwrapOrThrow(await gateway.flush());
    await assertSame(lake, store);
    assertEquals(lake.tables.get("todos")!.entries.length, 3, fault);
    assertEquals(lake.tables.get("__proto__")!.entries.length, 1, fault);
  }
});

test("deltasOf() is undone by the merge, in whatever order", () => {
  const prng = new Prng(42);
  const pick = (n: number) => prng.bytes(1)[0]! % n;
  for (let round = 0; round < 500; round++) {
    const state = emptyRow();
    for (let i = pick(8); i >= 0; i--) {
      const op = (["INSERT", "UPDATE", "UPDATE", "DELETE"] as const)[pick(4)]!;
      const columns = op === "DELETE" ? [] : ["x", "y", "z"].filter(() => pick(2) === 0).map(
        (column) => ({ column, value: pick(3) }),
      );
      mergeDelta(state, { op, hlc: String(1 + pick(6)), clientId: `c${pick(2)}`, columns });
    }
    const rebuilt = emptyRow();
    const deltas = deltasOf({ table: "t", rowId: "r", state });
    for (const delta of pick(2) === 0 ? deltas : deltas.toReversed()) mergeDelta(rebuilt, delta);
    assertEquals(rebuilt, state);
  }
});

test("a dead row's DELETE has no columns, also where one of them has the stamp of the death", () => {
  const state = emptyRow();
  const of = { table: "todos", rowId: "a", clientId: "alice:phone", hlc: "7" };
  const columns = [{ column: "title", value: "x" }];
  mergeDelta(state, makeDelta({ ...of, op: "UPDATE", columns }));
  mergeDelta(state, makeDelta({ ...of, op: "DELETE", columns: [] }));
  const deltas = deltasOf({ table: "todos", rowId: "a", state });
  assertEquals(deltas.map(({ op, columns }) => [op, columns.length]), [["DELETE", 0], [
    "UPDATE",
    1,
  ]]);
  const again = emptyRow();
  for (const delta of deltas) mergeDelta(again, delta);
  assertEquals(again, state);
});

test("a table without rows that is dropped while another was rolled back ends the flush all the same", async () => {
  const lake = new FakeDestination();
  const { gateway, store, clock } = await open(lake);
  const gone = makeDelta({ ...proto(2), op: "DELETE", columns: [] });
  await push(gateway, [proto(1), gone, insertTodo("a", 3)]);
  unwrapOrThrow(await gateway.flush());
  await clock.advance(1001);
  unwrapOrThrow(await gateway.trim());
  const { mark, entries } = lake.tables.get("todos")!;
  await push(gateway, [insertTodo("b", 4)]);
  unwrapOrThrow(await gateway.flush());
  lake.tables.delete("__proto__");
  lake.tables.set("todos", { mark, entries });
  const before = lake.batches.length;
  lake.beforeCommit = () => {
    if (lake.batches.length > before + 20) throw new Error("It does not end");
    return Promise.resolve();
  };
  const { flushedSeq } = unwrapOrThrow(await gateway.flush());
  assertEquals(flushedSeq, 4);
  await assertSame(lake, store);
});
