import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type Delta,
  err,
  isDelta,
  type JsonValue,
  LakeSyncError,
  type LogStore,
  ok,
  type Result,
  type Source,
  type SourceBatch,
  type SourceChange,
  unwrapOrThrow,
} from "@lakesync/core";
import { insertTodo, ManualClock, test } from "@lakesync/testing";
import { memoryLogStore } from "./store_memory.ts";
import { openGateway, pull, pullAll, push, storeWith, withTables } from "./testdata/fixture.ts";

function upsert(rowId: string, columns: { readonly [column: string]: JsonValue }): SourceChange {
  return { op: "upsert", table: "todos", rowId, columns: new Map(Object.entries(columns)) };
}

function remove(rowId: string): SourceChange {
  return { op: "delete", table: "todos", rowId, columns: new Map() };
}

/** A source of batches; its cursor is the number of batches that were read. */
function sourceOf(
  batches: readonly (readonly SourceChange[])[],
  options: { failAt?: number; throwAt?: number } = {},
): Source {
  return {
    name: "crm",
    async *read({ cursor }): AsyncGenerator<Result<SourceBatch>> {
      for (let i = Number(cursor ?? 0); i < batches.length; i++) {
        await Promise.resolve();
        if (i === options.failAt) {
          yield err(new LakeSyncError("OFFLINE", "The source cannot be reached: try again"));
        }
        if (i === options.throwAt) throw new Error("The driver broke");
        yield ok({ changes: batches[i]!, cursor: String(i + 1) });
      }
    },
  };
}

async function rowsOf(store: LogStore): Promise<{ [rowId: string]: unknown }> {
  const snapshot = unwrapOrThrow(await store.snapshot());
  const rows: [string, unknown][] = [];
  for await (const chunk of snapshot.rows()) {
    for (const { rowId, state } of chunk) {
      if (state.life?.alive !== true) continue;
      rows.push([
        rowId,
        Object.fromEntries([...state.columns].map(([name, [value]]) => [name, value])),
      ]);
    }
  }
  await snapshot.close();
  return Object.fromEntries(rows);
}

const batches = [
  [upsert("a", { title: "A", done: false }), upsert("b", { title: "B", done: false })],
  [upsert("a", { title: "A2", done: false }), upsert("c", { title: "C", done: true, note: [1] })],
  [remove("b"), upsert("c", { title: "C", done: true }), remove("never")],
];
const finalRows = {
  a: { title: "A2", done: false, note: undefined },
  c: { title: "C", done: true, note: [1] },
};

function shown(rows: { [rowId: string]: unknown }): unknown {
  return JSON.parse(JSON.stringify(rows));
}

test("ingest() turns records into deltas: only what changed, and nothing for what did not", async () => {
  const store = memoryLogStore();
  const gateway = await openGateway({ store });
  const reports: unknown[] = [];
  const report = await gateway.ingest(sourceOf(batches), { onBatch: (at) => reports.push(at) });
  assertEquals(unwrapOrThrow(report), { records: 7, deltas: 5 });
  assertEquals(reports, [
    { records: 2, deltas: 2 },
    { records: 4, deltas: 4 },
    { records: 7, deltas: 5 },
  ]);
  const { items } = await pullAll(gateway);
  const deltas = items.filter(isDelta) as Delta[];
  assertEquals(
    deltas.map(({ op, rowId, columns }) => [op, rowId, columns.map(({ column }) => column)]),
    [
      ["INSERT", "a", ["title", "done"]],
      ["INSERT", "b", ["title", "done"]],
      ["UPDATE", "a", ["title"]],
      ["INSERT", "c", ["title", "done", "note"]],
    ],
  );
  assertEquals(items.at(-1), { op: "DELETE", table: "todos", rowId: "b" });
  assertEquals(new Set(deltas.map(({ clientId }) => clientId)), new Set(["@source:crm"]));
  assertEquals(shown(await rowsOf(store)), shown(finalRows));
});

test("ingest() that is run again reads on where it stood", async () => {
  const gateway = await openGateway();
  unwrapOrThrow(await gateway.ingest(sourceOf(batches.slice(0, 2))));
  const again = unwrapOrThrow(await gateway.ingest(sourceOf(batches)));
  assertEquals(again, { records: 3, deltas: 1 });
  assertEquals(unwrapOrThrow(await gateway.ingest(sourceOf(batches))), { records: 0, deltas: 0 });
});

test("ingest() of the same records from the beginning makes no delta", async () => {
  const store = memoryLogStore();
  const gateway = await openGateway({ store });
  unwrapOrThrow(await gateway.ingest(sourceOf([batches[0]!])));
  unwrapOrThrow(await store.setValue("source:crm", null));
  assertEquals(unwrapOrThrow(await gateway.ingest(sourceOf([batches[0]!]))), {
    records: 2,
    deltas: 0,
  });
});

for (const when of ["before", "after"]) {
  test(`ingest() goes on after a crash just ${when} the commit of any batch`, async () => {
    for (let crash = 0; crash < batches.length; crash++) {
      const store = await withTables(memoryLogStore());
      let appends = 0;
      const crashing = storeWith(store, {
        append: async (request) => {
          const crashes = appends++ === crash;
          const failure = err(new LakeSyncError("STORAGE_ERROR", "The process ended here"));
          if (crashes && when === "before") return failure;
          const outcome = await store.append(request);
          return crashes ? failure : outcome;
        },
      });
      const first = await openGateway({ store: crashing });
      const failed = await first.ingest(sourceOf(batches));
      assertEquals(failed.ok || failed.error.code, "STORAGE_ERROR");

      const second = await openGateway({ store });
      unwrapOrThrow(await second.ingest(sourceOf(batches)));
      assertEquals(shown(await rowsOf(store)), shown(finalRows), `crash at ${crash}`);
      assertEquals(unwrapOrThrow(await store.head()).seq, 5, "no delta is there twice");
    }
  });
}

test("ingest() keeps the batches before a failure of its source", async () => {
  for (const fault of [{ failAt: 1 }, { throwAt: 1 }]) {
    const store = memoryLogStore();
    const gateway = await openGateway({ store });
    const failed = await gateway.ingest(sourceOf(batches, fault));
    assertEquals(failed.ok || failed.error.code, "failAt" in fault ? "OFFLINE" : "INTERNAL");
    assertEquals(unwrapOrThrow(await store.head()).seq, 2);
    unwrapOrThrow(await gateway.ingest(sourceOf(batches)));
    assertEquals(shown(await rowsOf(store)), shown(finalRows));
  }
});

const badRecords: [title: string, change: SourceChange, reason: string][] = [
  ["without schema", { ...remove("x"), table: "nowhere" }, '"nowhere" has no schema'],
  ["with an unknown column", upsert("x", { title: "t", done: true, colour: "red" }), '"colour"'],
  ["with a value of another type", upsert("x", { title: "t", done: "s3cret" }), '"done"'],
  ["without a NOT NULL column", upsert("x", { title: "t" }), '"done"'],
  ["with an empty key", upsert("", { title: "t", done: true }), "rowId"],
  ["with a key of a lone surrogate", upsert("\ud800", { title: "t", done: true }), "rowId"],
];
for (const [title, change, reason] of badRecords) {
  test(`ingest() refuses a record ${title} with its whole batch, and keeps those before`, async () => {
    const store = memoryLogStore();
    const gateway = await openGateway({ store });
    const failed = await gateway.ingest(
      sourceOf([batches[0]!, [upsert("y", { title: "Y", done: true }), change]]),
    );
    assert(!failed.ok);
    assertEquals(failed.error.code, "SCHEMA_ERROR");
    assertStringIncludes(failed.error.message, reason);
    assert(!failed.error.message.includes("s3cret"));
    assertEquals(Object.keys(await rowsOf(store)), ["a", "b"]);
    assertEquals(unwrapOrThrow(await store.getValue("source:crm")), "1");
  });
}

test("ingest() leaves columns that a record does not name as they are", async () => {
  const store = memoryLogStore();
  const gateway = await openGateway({ store });
  unwrapOrThrow(
    await gateway.ingest(sourceOf([
      [upsert("a", { title: "A", done: false, note: "kept" })],
      [upsert("a", { title: "B", done: false })],
      [upsert("a", { title: "B", done: false, note: null })],
    ])),
  );
  assertEquals(await rowsOf(store), { a: { title: "B", done: false, note: null } });
});

test("ingest() sees within a batch what it made before, and revives what it deleted", async () => {
  const store = memoryLogStore();
  const gateway = await openGateway({ store });
  const report = await gateway.ingest(sourceOf([[
    upsert("a", { title: "A", done: false, note: 1 }),
    upsert("a", { title: "A", done: false }),
    remove("a"),
    upsert("a", { title: "A", done: true }),
  ]]));
  assertEquals(unwrapOrThrow(report).deltas, 3);
  assertEquals(await rowsOf(store), { a: { title: "A", done: true } });
});

test("ingest() merges with what clients wrote, and wakes those that wait", async () => {
  const clock = new ManualClock();
  const gateway = await openGateway({ clock, scheduler: clock });
  await push(gateway, [insertTodo("a", 1)]);
  const { cursor } = await pull(gateway);
  const waiting = pull(gateway, { cursor, wait: "60" });
  await clock.advance(0);
  unwrapOrThrow(await gateway.ingest(sourceOf([[upsert("a", { title: "Todo a", done: true })]])));
  const { deltas } = await waiting;
  assertEquals(deltas.filter(isDelta).map(({ columns }) => columns), [[
    { column: "done", value: true },
  ]]);
});

test("ingest() stops between batches when it is told to", async () => {
  const gateway = await openGateway();
  const stop = new AbortController();
  const stopped = await gateway.ingest(sourceOf(batches), {
    signal: stop.signal,
    onBatch: () => stop.abort(),
  });
  assertEquals(stopped.ok || stopped.error.code, "ABORTED");
  assertEquals(unwrapOrThrow(await gateway.ingest(sourceOf(batches))), { records: 5, deltas: 3 });
});
