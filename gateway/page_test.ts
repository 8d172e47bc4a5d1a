import { assert, assertEquals } from "@std/assert";
import { type LogStore, ok, unwrapOrThrow } from "@lakesync/core";
import { insertTodo, makeDelta, test } from "@lakesync/testing";
import { readPage } from "./page.ts";
import { memoryLogStore } from "./store_memory.ts";
import {
  deleteTodo,
  inTx,
  openGateway,
  pull,
  pullAll,
  push,
  storeWith,
  updateTodo,
} from "./testdata/fixture.ts";
import { nextTurn } from "./turn.ts";

const hidden = makeDelta({
  op: "INSERT",
  table: "__proto__",
  rowId: "x",
  clientId: "alice:phone",
  hlc: "1",
  columns: [{ column: "constructor", value: "c" }],
});

test("a delta that won whole arrives as it was sent", async () => {
  const gateway = await openGateway();
  const deltas = [inTx(insertTodo("a", 1), "t"), updateTodo("a", 2, { title: "x" }), hidden];
  await push(gateway, deltas);
  assertEquals((await pullAll(gateway)).items, deltas);
});

test("a delta arrives with only the columns that won, and with the log's deltaId", async () => {
  const gateway = await openGateway();
  const late = updateTodo("a", 3, { title: "late", done: true }, { txId: "t" });
  const lost = updateTodo("a", 2, { title: "lost" });
  await push(gateway, [insertTodo("a", 1), updateTodo("a", 5, { title: "new" }), late, lost]);
  const { items, seq } = await pullAll(gateway);
  assertEquals(seq, 4);
  assertEquals(items.length, 3);
  assertEquals(items[2], { ...late, columns: [{ column: "done", value: true }] });
});

test("an INSERT that lost every register arrives not at all, one whose life won without columns", async () => {
  const gateway = await openGateway();
  const older = insertTodo("a", 1, "bob");
  await push(gateway, [insertTodo("a", 5)]);
  await push(gateway, [older], "bob");
  assertEquals((await pullAll(gateway)).items, [insertTodo("a", 5)]);

  const life = insertTodo("b", 3);
  await push(gateway, [
    insertTodo("b", 1),
    updateTodo("b", 9, { title: "x", done: true }),
    life,
  ]);
  const { items } = await pullAll(gateway);
  assertEquals(items.at(-1), { ...life, columns: [] });
});

test("deltas of one transaction on one row stay several, each with what still counts after it", async () => {
  const gateway = await openGateway();
  const insert = inTx(insertTodo("a", 1), "t");
  const title = inTx(updateTodo("a", 2, { title: "x" }), "t");
  const undone = inTx(updateTodo("a", 3, { done: false }), "t");
  const done = inTx(updateTodo("a", 4, { done: true }), "t");
  await push(gateway, [insert, title, undone, done]);
  assertEquals((await pullAll(gateway)).items, [{ ...insert, columns: [] }, title, done]);
});

test("what a transaction wrote and took back itself reaches nobody", async () => {
  const gateway = await openGateway();
  await push(gateway, [insertTodo("a", 1)]);
  const again = inTx(insertTodo("a", 4), "t");
  await push(gateway, [
    inTx(updateTodo("a", 2, { title: "secret" }), "t"),
    inTx(deleteTodo("a", 3), "t"),
    again,
  ]);
  assertEquals((await pullAll(gateway)).items.slice(1), [again]);
});

test("a row that dies arrives as one DELETE without a stamp, with its transaction", async () => {
  const gateway = await openGateway();
  await push(gateway, [insertTodo("a", 1)]);
  await push(gateway, [
    inTx(updateTodo("a", 2, { title: "x" }), "t"),
    inTx(deleteTodo("a", 3), "t"),
  ]);
  const { items } = await pullAll(gateway);
  assertEquals(items.slice(1), [{ op: "DELETE", table: "todos", rowId: "a", txId: "t" }]);
});

test("a row that comes back arrives as ENTER in the state just after its transaction", async () => {
  const gateway = await openGateway();
  await push(gateway, [insertTodo("a", 1), deleteTodo("a", 2)]);
  await push(gateway, [
    inTx(insertTodo("a", 3), "t"),
    inTx(updateTodo("a", 4, { done: true }), "t"),
  ]);
  await push(gateway, [updateTodo("a", 5, { title: "later" })]);
  const { items } = await pullAll(gateway);
  const maker = "alice:phone";
  assertEquals(items[2], {
    op: "ENTER",
    table: "todos",
    rowId: "a",
    life: ["3", maker],
    columns: { title: ["Todo a", "3", maker], done: [true, "4", maker] },
    txId: "t",
  });
  assertEquals(items.length, 4);
});

test("a row whose UPDATE came before its INSERT enters with what survived", async () => {
  const gateway = await openGateway();
  await push(gateway, [updateTodo("a", 7, { title: "early" }), updateTodo("a", 2, { done: true })]);
  assertEquals(await pullAll(gateway).then(({ items, seq }) => [items, seq]), [[], 2]);
  await push(gateway, [insertTodo("a", 5)]);
  const { items } = await pullAll(gateway);
  const maker = "alice:phone";
  assertEquals(items, [{
    op: "ENTER",
    table: "todos",
    rowId: "a",
    life: ["5", maker],
    columns: { title: ["early", "7", maker], done: [false, "5", maker] },
  }]);
});

test("a row that is made and dies in one transaction arrives not at all", async () => {
  const gateway = await openGateway();
  await push(gateway, [inTx(insertTodo("a", 1), "t"), inTx(deleteTodo("a", 2), "t")]);
  const page = await pull(gateway);
  assertEquals([page.deltas, page.seq, page.hasMore], [[], 2, false]);
});

test("own=ids names the caller's own deltas, and leaves DELETE and ENTER as they are", async () => {
  const gateway = await openGateway();
  const mine = [inTx(insertTodo("a", 1), "t"), updateTodo("a", 2, { title: "x" })];
  const other = insertTodo("b", 3, "alice:tablet");
  await push(gateway, [...mine, other, deleteTodo("a", 4), insertTodo("a", 5)]);
  const { items } = await pullAll(gateway, { clientId: "alice:phone", own: "ids" });
  assertEquals(items.slice(0, 3), [
    { op: "OWN", deltaId: mine[0]!.deltaId, txId: "t" },
    { op: "OWN", deltaId: mine[1]!.deltaId },
    other,
  ]);
  assertEquals(items.slice(3).map(({ op }) => op), ["DELETE", "ENTER"]);
  // Without it one's own arrive like anyone's.
  const { items: plain } = await pullAll(gateway, { clientId: "alice:phone" });
  assertEquals(plain.slice(0, 3), [...mine, other]);
});

test("own=ids names a delta rightly whatever stands in its texts", async () => {
  const fake = `,"deltaId":"${"0".repeat(64)}"`;
  const txIds = [`t${fake}}`, `t"${fake},"txId":"x"}`, "\\", "tab\there", `"`, "plain", undefined];
  const gateway = await openGateway();
  const deltas = txIds.map((txId, i) =>
    makeDelta({
      op: "INSERT",
      table: "todos",
      rowId: `r${i}${fake}}`,
      clientId: "alice:phone",
      columns: [
        { column: "title", value: `x${fake}}` },
        { column: "done", value: false },
        { column: "note", value: { deltaId: "0".repeat(64), txId: fake } },
      ],
      hlc: String(i + 1),
      ...(txId !== undefined && { txId }),
    })
  );
  assertEquals((await push(gateway, deltas)).accepted, deltas.length);
  const { items } = await pullAll(gateway, { clientId: "alice:phone", own: "ids" });
  assertEquals(
    items,
    deltas.map(({ deltaId, txId }) => ({
      op: "OWN",
      deltaId,
      ...(txId !== undefined && { txId }),
    })),
  );
  await gateway.close();
});

test("own=ids names a delta whose text a store has in another order", async () => {
  const gateway = await openGateway();
  const delta = { ...insertTodo("a", 1), txId: "t" };
  await push(gateway, [delta]);
  const { txId, deltaId, ...rest } = delta;
  const json = JSON.stringify({ txId, deltaId, ...rest });
  const read = gateway.store.read.bind(gateway.store);
  const store: LogStore = Object.create(gateway.store, {
    head: { value: () => gateway.store.head() },
    read: {
      value: async (...args: Parameters<LogStore["read"]>) => {
        const entries = unwrapOrThrow(await read(...args));
        return ok(entries.map((entry) => ({ ...entry, json })));
      },
    },
  });
  const page = unwrapOrThrow(
    await readPage(store, { seq: 0, hash: "0" }, {
      filter: { own: "alice:phone", tables: undefined },
      size: { limit: 10, maxBytes: 1_000 },
    }),
  );
  assertEquals(page.items.map((item) => JSON.parse(item)), [{ op: "OWN", deltaId, txId }]);
  await gateway.close();
});

test("a page ends at its limit, between transactions, and says whether there is more", async () => {
  const gateway = await openGateway();
  await push(gateway, [
    insertTodo("a", 1),
    ...["b", "c", "d"].map((rowId, i) => inTx(insertTodo(rowId, i + 2), "t")),
    insertTodo("e", 9),
  ]);
  const sizes = async (limit: string) => {
    const pages: [number, number, boolean][] = [];
    for (let cursor = "", more = true; more;) {
      const page = await pull(gateway, { cursor, limit });
      pages.push([page.deltas.length, page.seq as number, page.hasMore]);
      ({ cursor, hasMore: more } = page);
    }
    return pages;
  };
  assertEquals(await sizes("1"), [[1, 1, true], [3, 4, true], [1, 5, false]]);
  assertEquals(await sizes("2"), [[4, 4, true], [1, 5, false]]);
  assertEquals(await sizes("5"), [[5, 5, false]]);
});

test("a page ends at its size in bytes, not in characters", async () => {
  const gateway = await openGateway({ limits: { pageBytes: 3_000 } });
  const deltas = Array.from(
    { length: 6 },
    (_, i) => updateTodo("a", i + 2, { title: "€".repeat(400) }),
  );
  await push(gateway, [insertTodo("a", 1), ...deltas]);
  const page = await pull(gateway);
  // 1,200 bytes of euro signs in each, and some 300 around them.
  assertEquals([page.deltas.length, page.hasMore], [3, true]);
});

test("a pull asks for a thousand items where it does not say, and gets ten thousand at the most", async () => {
  const gateway = await openGateway();
  const deltas = Array.from({ length: 10_000 }, (_, i) => insertTodo(`r${i}`, i + 1));
  await push(gateway, deltas);
  await push(gateway, [insertTodo("last", 20_000)]);
  const counts: number[] = [];
  for (const limit of [undefined, "10001", "99999999999999999999"]) {
    counts.push((await pull(gateway, limit === undefined ? {} : { limit })).deltas.length);
  }
  assertEquals(counts, [1_000, 10_000, 10_000]);
});

test("tables leaves out the others and still brings the caller to the head", async () => {
  const gateway = await openGateway();
  await push(gateway, [insertTodo("a", 1), hidden]);
  const page = await pull(gateway, { tables: "__proto__" });
  assertEquals([page.deltas, page.seq], [[hidden], 2]);
  const none = await pull(gateway, { tables: "nothing" });
  assertEquals([none.deltas, none.seq, none.hasMore], [[], 2, false]);
});

test("readPage() lets others run on a long way through entries that the caller does not get", async () => {
  const store = memoryLogStore();
  const gateway = await openGateway({ store });
  // UPDATEs make no rows.
  const deltas = Array.from(
    { length: 5_000 },
    (_, i) => updateTodo(`r${i}`, i + 1, { done: true }),
  );
  await push(gateway, deltas);
  let reads = 0;
  let turns = 0;
  const counted: LogStore = storeWith(store, {
    read: (after, options) => {
      reads++;
      nextTurn(() => turns++);
      return store.read(after, options);
    },
  });
  const page = await readPage(counted, { seq: 0, hash: "0" }, {
    filter: { own: undefined, tables: undefined },
    size: { limit: 10, maxBytes: 1_000_000 },
  });
  assertEquals(unwrapOrThrow(page), {
    items: [],
    position: unwrapOrThrow(await store.head()),
    hasMore: false,
  });
  assertEquals(reads, 5);
  assert(turns >= 4, `${turns} turns of the event loop in between`);
});

test("a page of one table ends where its last transaction does, whatever else that has", async () => {
  const store = memoryLogStore();
  const gateway = await openGateway({ store });
  const others = [1, 2, 3, 4, 5].map((n) => makeDelta({ ...hidden, rowId: `x${n}`, hlc: `${n}` }));
  await push(gateway, [
    inTx(others[0]!, "t"),
    inTx(insertTodo("a", 10), "t"),
    inTx(others[1]!, "t"),
    inTx(insertTodo("b", 11), "t"),
    inTx(others[2]!, "t"),
    others[3]!,
    insertTodo("c", 12),
    others[4]!,
  ]);
  const first = await pull(gateway, { tables: "todos", limit: "1" });
  assertEquals([first.deltas.length, first.seq, first.hasMore], [2, 5, true]);
  const second = await pull(gateway, { tables: "todos", limit: "1", cursor: first.cursor });
  assertEquals([second.deltas.length, second.seq, second.hasMore], [1, 7, true]);
  const third = await pull(gateway, { tables: "todos", limit: "1", cursor: second.cursor });
  assertEquals([third.deltas, third.seq, third.hasMore], [[], 8, false]);
  for (const table of ["todos", "__proto__", "todos,__proto__"]) {
    const all = await pull(gateway, { tables: table });
    assertEquals([all.seq, all.hasMore], [8, false]);
  }
});

test("a page of one table reads no entries of others", async () => {
  const store = memoryLogStore();
  const gateway = await openGateway({ store });
  await push(gateway, Array.from({ length: 500 }, (_, i) => insertTodo(`r${i}`, i + 1)));
  await push(gateway, [hidden]);
  let read = 0;
  const counted = storeWith(store, {
    read: async (after, options) => {
      const entries = await store.read(after, options);
      read += unwrapOrThrow(entries).length;
      return entries;
    },
  });
  const page = await readPage(counted, { seq: 0, hash: "0" }, {
    filter: { own: undefined, tables: new Set(["__proto__"]) },
    size: { limit: 10, maxBytes: 1_000_000 },
  });
  assertEquals([unwrapOrThrow(page).items.length, read], [1, 1]);
});

test("a page that a trim overtakes asks for a checkpoint", async () => {
  const store = memoryLogStore();
  const gateway = await openGateway({ store });
  await push(gateway, [inTx(insertTodo("a", 1), "t"), inTx(hidden, "t"), insertTodo("b", 2)]);
  const trimmed = storeWith(store, { hashAt: () => Promise.resolve(ok(undefined)) });
  const page = await readPage(trimmed, { seq: 0, hash: "0" }, {
    filter: { own: undefined, tables: new Set(["todos"]) },
    size: { limit: 1, maxBytes: 1_000_000 },
  });
  assertEquals(page.ok || page.error.code, "CHECKPOINT_REQUIRED");
});

test("readPage() hands on the store's failure", async () => {
  const store = memoryLogStore();
  await store.close();
  const page = await readPage(store, { seq: 0, hash: "0" }, {
    filter: { own: undefined, tables: undefined },
    size: { limit: 10, maxBytes: 1_000_000 },
  });
  assertEquals(page.ok || page.error.code, "CLOSED");
});
