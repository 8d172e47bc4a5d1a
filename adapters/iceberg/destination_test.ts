import { type FlushEntry, type TableSchema, unwrapOrThrow } from "@lakesync/core";
import { ManualClock, memoryObjectStore, Prng, test } from "@lakesync/testing";
import { assert, assertEquals, assertFalse } from "@std/assert";
import { icebergDestination } from "./destination.ts";
import { icebergLake } from "./lake.ts";
import {
  allKeys,
  columnsOf,
  entries,
  entry,
  flush,
  NOON,
  readFiles,
  readRows,
  readSeqs,
  TODOS,
} from "./testdata/lake_rows.ts";

test("write() makes a row of every delta, with every value as it was", async () => {
  const store = memoryObjectStore();
  const schema: TableSchema = {
    table: "all",
    version: 3,
    columns: [
      { name: "s", type: "string", nullable: true },
      { name: "d", type: "number", nullable: true },
      { name: "i", type: "integer", nullable: true },
      { name: "b", type: "boolean", nullable: true },
      { name: "t", type: "timestamp", nullable: true },
      { name: "x", type: "bytes", nullable: true },
      { name: "__proto__", type: "json", nullable: true },
      { name: "constructor", type: "string", nullable: true },
      { name: "_seq", type: "integer", nullable: true },
    ],
  };
  const insert = entry(5, {
    table: "all",
    op: "INSERT",
    rowId: "é😀",
    clientId: "device:1",
    txId: "tx",
    hlc: "9223372036854775807",
    at: NOON,
    columns: [
      { column: "s", value: "\u0000 𝄞 text" },
      { column: "d", value: -1.5e-300 },
      { column: "i", value: "-9223372036854775808" },
      { column: "b", value: false },
      { column: "t", value: "9999-12-31T23:59:59.999999Z" },
      { column: "x", value: "AP8=" },
      { column: "__proto__", value: { b: [null, 1], a: "" } },
      { column: "constructor", value: "" },
      { column: "_seq", value: 9007199254740991 },
    ],
  });
  const nulls = entry(6, {
    table: "all",
    columns: [{ column: "_seq", value: null }, { column: "s", value: null }],
  });
  const early = entry(7, {
    table: "all",
    columns: columnsOf({ t: "0000-01-01T00:00:00.000001Z", i: "9223372036854775807", d: 0 }),
  });
  const gone = entry(8, { table: "all", op: "DELETE", columns: [] });
  await flush(icebergDestination({ store }), [insert, nulls, early, gone], { schemas: [schema] });
  const [row, other, old, last] = await readRows(store, "all_changes");
  assertEquals([...row!], [
    ["_seq", 5n],
    ["_op", "INSERT"],
    ["id", "é😀"],
    ["_hlc", 9223372036854775807n],
    ["_client_id", "device:1"],
    ["_tx_id", "tx"],
    ["_commit_ts", BigInt(NOON) * 1000n],
    ["_columns", "s,d,i,b,t,x,__proto__,constructor,_seq"],
    ["s", "\u0000 𝄞 text"],
    ["d", -1.5e-300],
    ["i", -9223372036854775808n],
    ["b", false],
    ["t", BigInt(Date.UTC(9999, 11, 31, 23, 59, 59, 999)) * 1000n + 999n],
    ["x", Uint8Array.of(0, 255)],
    ["__proto__", '{"a":"","b":[null,1]}'],
    ["constructor", ""],
    ["__seq", 9007199254740991n],
  ]);
  // In the table's order, not in the delta's.
  assertEquals(other?.get("_columns"), "s,_seq");
  assertEquals(other?.get("__seq"), null);
  assertEquals(other?.get("_tx_id"), null);
  assertEquals(old?.get("t"), BigInt(Date.parse("0000-01-01T00:00:00.000Z")) * 1000n + 1n);
  assertEquals(old?.get("i"), 9223372036854775807n);
  assertEquals(old?.get("_columns"), "d,i,t");
  assertEquals(last?.get("_op"), "DELETE");
  assertEquals(last?.get("_columns"), null);
});

test("write() gives every column of a file its field id, and the file its schema", async () => {
  const store = memoryObjectStore();
  await flush(icebergDestination({ store }), entries(1, 3));
  const [file] = await readFiles(store, "todos_changes");
  assertEquals([...file!.fieldIds.values()], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  const schema = JSON.parse(file!.keyValues.get("iceberg.schema") ?? "null");
  assertEquals(schema.fields.length, 11);
  assertEquals(schema.fields[8], { id: 9, name: "title", required: false, type: "string" });
});

test("write() sorts a file by id in UTF-8 order, then by stamp", async () => {
  const store = memoryObjectStore();
  const random = new Prng(42);
  const ids = ["a", "b", "\u{FF5E}", "\u{1F600}", "\u{E000}", "ab", "A"];
  const list = Array.from(
    { length: 500 },
    (_, i) => entry(i + 1, { rowId: random.pick(ids), hlc: String(random.int(1, 60)) }),
  );
  await flush(icebergDestination({ store }), list);
  const [file] = await readFiles(store, "todos_changes");
  const utf8 = new TextEncoder();
  const place = (id: unknown) => Array.from(utf8.encode(String(id)), (b) => b + 1000).join();
  const got = file!.rows.map((row) => [row.get("id"), row.get("_hlc"), row.get("_seq")]);
  const expected = [...got].sort((a, b) =>
    place(a[0]) < place(b[0])
      ? -1
      : place(a[0]) > place(b[0])
      ? 1
      : Number(a[1]) - Number(b[1]) || Number(a[2]) - Number(b[2])
  );
  assertEquals(got, expected);
});

test("write() parts the files by the day of the commit", async () => {
  const store = memoryObjectStore();
  const day = 86_400_000;
  const list = [
    entry(1, { at: NOON }),
    entry(2, { at: NOON + day / 2 - 1 }),
    entry(3, { at: NOON + day / 2 }),
    entry(4, { at: NOON + 3 * day }),
  ];
  const outcome = (await flush(icebergDestination({ store }), list)).get("todos");
  assert(outcome?.status === "committed");
  assertEquals([outcome.deltas, outcome.objects], [4, 3]);
  const files = await readFiles(store, "todos_changes");
  const days = files.map(({ key, rows }) => [key.split("/")[2], rows.length]);
  assertEquals(days, [
    ["_commit_ts_day=2026-11-20", 2],
    ["_commit_ts_day=2026-11-21", 1],
    ["_commit_ts_day=2026-11-23", 1],
  ]);
});

test("write() commits the watermark with the data, and watermarks() tells it", async () => {
  const store = memoryObjectStore();
  const destination = icebergDestination({ store });
  assertEquals(unwrapOrThrow(await destination.watermarks(["todos"])), new Map());
  const to = { epoch: "e", seq: 12 };
  const outcome = (await flush(destination, entries(1, 10), { to })).get("todos");
  assertEquals(outcome?.status, "committed");
  for (const reader of [destination, icebergDestination({ store })]) {
    const found = unwrapOrThrow(await reader.watermarks(["todos", "other"]));
    assertEquals(found, new Map([["todos", to]]));
  }
  const more = (await flush(destination, entries(13, 14), { from: to })).get("todos");
  assertEquals(more?.status, "committed");
  const scan = unwrapOrThrow(await icebergLake({ store }).scan("todos_changes"));
  assertEquals(scan.watermark, { epoch: "e", seq: 14 });
});

test("write() leaves a table alone for which the batch has nothing", async () => {
  const store = memoryObjectStore();
  const other = { ...TODOS, table: "other" };
  const destination = icebergDestination({ store });
  const outcomes = await flush(destination, entries(1, 3), { schemas: [TODOS, other] });
  assertEquals(outcomes.get("other"), { status: "empty" });
  assertEquals(outcomes.get("todos")?.status, "committed");
  assertEquals(await allKeys(store, "other"), []);
});

test("write() writes nothing where the watermark is not the one it starts from", async () => {
  const store = memoryObjectStore();
  const destination = icebergDestination({ store });
  const first = { epoch: "e", seq: 3 };
  await flush(destination, entries(1, 3));
  const keys = await allKeys(store);
  for (
    const from of [undefined, { epoch: "e", seq: 2 }, { epoch: "f", seq: 3 }, {
      epoch: "e",
      seq: 4,
    }]
  ) {
    for (const writer of [destination, icebergDestination({ store })]) {
      const outcomes = await flush(writer, entries(1, 9), { from });
      assertEquals(outcomes.get("todos"), { status: "moved", watermark: first });
    }
  }
  const unknown = { ...TODOS, table: "fresh" };
  const fresh = await flush(destination, [entry(4, { table: "fresh" })], {
    from: first,
    schemas: [unknown],
  });
  assertEquals(fresh.get("fresh"), { status: "moved", watermark: undefined });
  assertEquals(await allKeys(store), keys);
});

test("write() takes a new epoch on top of an old one, whatever its seqs", async () => {
  const store = memoryObjectStore();
  const destination = icebergDestination({ store });
  await flush(destination, entries(1, 10));
  const to = { epoch: "restored", seq: 4 };
  await flush(destination, entries(1, 4), { from: { epoch: "e", seq: 10 }, to });
  assertEquals((await readSeqs(store, "todos_changes")).length, 14);
  assertEquals(unwrapOrThrow(await destination.watermarks(["todos"])).get("todos"), to);
});

test("write() leaves out what the table has already, and tables it was not given", async () => {
  const store = memoryObjectStore();
  const destination = icebergDestination({ store });
  await flush(destination, entries(1, 5));
  const list = [...entries(4, 8), entry(9, { table: "stranger" })];
  await flush(destination, list, { from: { epoch: "e", seq: 5 } });
  assertEquals(await readSeqs(store, "todos_changes"), [1, 2, 3, 4, 5, 6, 7, 8]);
  assertFalse((await allKeys(store)).some((key) => key.startsWith("stranger")));
});

test("write() gives new columns new ids, and reads what was written before them", async () => {
  const store = memoryObjectStore();
  const destination = icebergDestination({ store });
  await flush(destination, entries(1, 2));
  const grown: TableSchema = {
    ...TODOS,
    version: 2,
    columns: [
      { name: "due", type: "timestamp", nullable: true },
      { name: "title", type: "string", nullable: true },
      ...TODOS.columns.slice(1),
    ],
  };
  const due = entry(3, { columns: columnsOf({ due: "2026-01-01T00:00:00.000000Z", title: "t" }) });
  await flush(destination, [due], { from: { epoch: "e", seq: 2 }, schemas: [grown] });
  // One that has not heard of the new column takes nothing away.
  const behind = icebergDestination({ store });
  await flush(behind, [entry(4)], { from: { epoch: "e", seq: 3 } });
  const scan = unwrapOrThrow(await icebergLake({ store }).scan("todos_changes"));
  assertEquals(scan.columns.at(-1), { fieldId: 12, name: "due", type: "timestamptz" });
  assertEquals([...scan.types.keys()], ["due", "title", "done", "n"]);
  const files = await readFiles(store, "todos_changes");
  const bySeq = (seq: bigint) =>
    files.find(({ rows }) => rows.some((row) => row.get("_seq") === seq))!;
  assertEquals(bySeq(1n).fieldIds.has("due"), false);
  assertEquals(bySeq(3n).fieldIds.get("due"), 12);
  assertEquals(bySeq(3n).rows[0]?.get("_columns"), "due,title");
  assertEquals(bySeq(4n).rows[0]?.get("due"), null);
});

test("write() fails a table whose column changed its type, and writes the others", async () => {
  const store = memoryObjectStore();
  const destination = icebergDestination({ store });
  await flush(destination, entries(1, 2));
  const keys = await allKeys(store, "todos_changes");
  const changed: TableSchema = {
    ...TODOS,
    version: 2,
    columns: [{ name: "title", type: "integer" }],
  };
  const other = { ...TODOS, table: "other" };
  const list = [entry(3, { columns: columnsOf({ title: 1 }) }), entry(4, { table: "other" })];
  const outcomes = await destination.write({
    id: "b",
    to: { epoch: "e", seq: 4 },
    tables: new Map([
      ["todos", { schema: changed, from: { epoch: "e", seq: 2 } }],
      ["other", { schema: other, from: undefined }],
    ]),
    entries: once(list),
  });
  const byTable = unwrapOrThrow(outcomes);
  const todos = byTable.get("todos");
  assert(todos?.status === "failed");
  assertEquals(todos.error.code, "CONFLICT");
  assertEquals(byTable.get("other")?.status, "committed");
  assertEquals(await allKeys(store, "todos_changes"), keys);
});

test("write() fails a table whose entries its schema forbids, and leaves nothing of it", async () => {
  const bad = [
    columnsOf({ stranger: 1 }),
    columnsOf({ n: "no number" }),
    columnsOf({ done: "true" }),
    columnsOf({ title: 1 }),
  ];
  for (const columns of bad) {
    const store = memoryObjectStore();
    const outcomes = await flush(icebergDestination({ store }), [entry(1), entry(2, { columns })]);
    const todos = outcomes.get("todos");
    assert(todos?.status === "failed");
    assertEquals(todos.error.code, "INTERNAL");
    assert(todos.error.message.includes("seq 2"));
    assertEquals(await allKeys(store), []);
  }
});

/** Flushes that many rows, dealt out to tables by their seqs, and tells each table's files' rows. */
async function fileRows(
  total: number,
  tableOf: (seq: number) => string,
): Promise<ReadonlyMap<string, number[]>> {
  const store = memoryObjectStore();
  const names = ["a", "b", "c"];
  const schemas = names.map((table): TableSchema => ({
    table,
    version: 1,
    columns: [{ name: "n", type: "integer" }],
  }));
  async function* chunks(): AsyncGenerator<FlushEntry[]> {
    for (let first = 1; first <= total; first += 10_000) {
      await Promise.resolve();
      yield Array.from({ length: 10_000 }, (_, i) => {
        const seq = first + i;
        const columns = [{ column: "n", value: seq }];
        return entry(seq, { table: tableOf(seq), columns, at: NOON });
      });
    }
  }
  const outcomes = unwrapOrThrow(
    await icebergDestination({ store }).write({
      id: "b",
      to: { epoch: "e", seq: total },
      tables: new Map(schemas.map((schema) => [schema.table, { schema, from: undefined }])),
      entries: chunks(),
    }),
  );
  const rows = new Map<string, number[]>();
  for (const [table, { status }] of outcomes) {
    if (status === "empty") continue;
    assertEquals(status, "committed");
    const scan = unwrapOrThrow(await icebergLake({ store }).scan(`${table}_changes`));
    rows.set(table, scan.files.map((file) => file.rows));
  }
  return rows;
}

test("write() cuts files at 131,072 rows", async () => {
  assertEquals(await fileRows(140_000, () => "a"), new Map([["a", [131_072, 8_928]]]));
});

test("write() writes out the largest table where too much waits in all together", async () => {
  const rows = await fileRows(270_000, (seq) => seq % 9 < 2 ? "b" : seq % 9 < 4 ? "c" : "a");
  const expected = new Map([["a", [131_072, 18_928]], ["b", [60_000]], ["c", [60_000]]]);
  assertEquals(rows, expected);
  // Thirds: after 270,000 rows the first table goes, and what is left of it makes a second file.
  const thirds = await fileRows(300_000, (seq) => "cab"[seq % 3]!);
  assertEquals(thirds, new Map([["a", [90_000, 10_000]], ["b", [100_000]], ["c", [100_000]]]));
});

test("write() cuts files by the size of their values too", async () => {
  const store = memoryObjectStore();
  const value = "x".repeat(1_000_000);
  const list = Array.from(
    { length: 80 },
    (_, i) => entry(i + 1, { columns: columnsOf({ title: value }) }),
  );
  await flush(icebergDestination({ store }), list, { chunk: 10 });
  const scan = unwrapOrThrow(await icebergLake({ store }).scan("todos_changes"));
  assertEquals(scan.files.map(({ rows }) => rows), [68, 12]);
});

test("write() rejects nothing and gives the error where the entries throw", async () => {
  const store = memoryObjectStore();
  // deno-lint-ignore require-yield -- it fails before its first chunk
  async function* broken(): AsyncGenerator<FlushEntry[]> {
    await Promise.resolve();
    throw new RangeError("the log broke");
  }
  const result = await icebergDestination({ store }).write({
    id: "b",
    to: { epoch: "e", seq: 1 },
    tables: new Map([["todos", { schema: TODOS, from: undefined }]]),
    entries: broken(),
  });
  assert(!result.ok && result.error.cause instanceof RangeError);
  assertEquals(await allKeys(store), []);
});

test("write() stops at its signal and leaves nothing behind", async () => {
  const store = memoryObjectStore();
  const controller = new AbortController();
  async function* stopped(): AsyncGenerator<FlushEntry[]> {
    await Promise.resolve();
    yield [entry(1, { at: NOON }), entry(2, { at: NOON + 86_400_000 })];
    controller.abort();
    yield [entry(3, { at: NOON + 86_400_000 })];
  }
  const result = await icebergDestination({ store }).write({
    id: "b",
    to: { epoch: "e", seq: 3 },
    tables: new Map([["todos", { schema: TODOS, from: undefined }]]),
    entries: stopped(),
    signal: controller.signal,
  });
  assertEquals(result.ok ? "" : result.error.code, "ABORTED");
  assertEquals(await allKeys(store), []);
});

test("icebergDestination() takes times, ids and its name from the options", async () => {
  const run = async (): Promise<string[]> => {
    const store = memoryObjectStore();
    const clock = new ManualClock(NOON);
    const destination = icebergDestination({ store, clock, random: new Prng(7), name: "cold" });
    assertEquals(destination.name, "cold");
    await flush(destination, entries(1, 3));
    return allKeys(store);
  };
  assertEquals(await run(), await run());
});

async function* once(list: readonly FlushEntry[]): AsyncGenerator<readonly FlushEntry[]> {
  await Promise.resolve();
  yield list;
}
