import { gunzipSync } from "node:zlib";
import {
  type Destination,
  type FlushEntry,
  type ObjectStore,
  type TableSchema,
  unwrapOrThrow,
  type Watermark,
} from "@lakesync/core";
import {
  faultyObjectStore,
  memoryObjectStore,
  type StoreFault,
  type StoreOperation,
  test,
} from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { jsonDestination } from "./json_destination.ts";
import { manifestKey } from "./manifest.ts";

const TODOS: TableSchema = {
  table: "todos",
  version: 1,
  columns: [{ name: "title", type: "string" }],
};

const entry = (seq: number, text = `title ${seq}`): FlushEntry => ({
  seq,
  at: 1_000 + seq,
  delta: {
    op: "UPDATE",
    table: "todos",
    rowId: `r${seq % 3}`,
    clientId: "alice",
    hlc: String(seq),
    columns: [{ column: "title", value: text }],
    deltaId: "",
  },
});
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1);

/** Writes seqs on top of a watermark. */
async function flush(destination: Destination, list: readonly FlushEntry[], from?: Watermark) {
  async function* chunks() {
    yield await Promise.resolve(list);
  }
  return unwrapOrThrow(
    await destination.write({
      id: "batch",
      to: { epoch: "e", seq: list.at(-1)!.seq },
      tables: new Map([["todos", { schema: TODOS, from }], ["other", { schema: TODOS, from }]]),
      entries: chunks(),
    }),
  );
}

/** Does what a gateway does: tries from the newest watermark until everything is there. */
async function settle(destination: Destination, last: number, step = last): Promise<void> {
  for (let tries = 0; tries < 30; tries++) {
    const marks = await destination.watermarks(["todos"]);
    if (!marks.ok) continue;
    const from = marks.value.get("todos");
    const next = (from?.seq ?? 0) + 1;
    if (next > last) return;
    const list = upTo(Math.min(next + step - 1, last)).slice(next - 1).map((seq) => entry(seq));
    await flush(destination, list, from);
  }
  throw new Error("It did not settle");
}

/** All seqs of a table, as somebody reads them who knows the manifests. */
async function readSeqs(store: ObjectStore): Promise<number[]> {
  const { objects } = unwrapOrThrow(await store.list("todos/manifests/"));
  const seqs: number[] = [];
  for (const { key } of objects) {
    const manifest = JSON.parse(new TextDecoder().decode(unwrapOrThrow(await store.get(key))));
    for (const file of manifest.files) {
      const text = new TextDecoder().decode(gunzipSync(unwrapOrThrow(await store.get(file.key))));
      for (const line of text.trimEnd().split("\n")) seqs.push(JSON.parse(line).seq);
    }
  }
  return seqs;
}

test("jsonDestination() writes each delta as it is, with the watermark in the same commit", async () => {
  const store = memoryObjectStore();
  const destination = jsonDestination({ store });
  const outcomes = await flush(destination, [entry(1, "a\nb"), entry(2)]);
  assertEquals(outcomes.get("other"), { status: "empty" });
  const todos = outcomes.get("todos");
  assert(todos?.status === "committed" && todos.deltas === 2 && todos.objects === 1);
  const manifest = JSON.parse(
    new TextDecoder().decode(unwrapOrThrow(await store.get(manifestKey("todos", 1)))),
  );
  assertEquals([manifest.epoch, manifest.seq, manifest.batchId], ["e", 2, "batch"]);
  const file = unwrapOrThrow(await store.get(manifest.files[0].key));
  const lines = new TextDecoder().decode(gunzipSync(file)).trimEnd().split("\n");
  assertEquals(lines.map((line) => JSON.parse(line)), [entry(1, "a\nb"), entry(2)]);
  const marks = unwrapOrThrow(await jsonDestination({ store }).watermarks(["todos", "other"]));
  assertEquals([...marks], [["todos", { epoch: "e", seq: 2 }]]);
});

test("jsonDestination() keeps the log's hash with its watermark, where there is one", async () => {
  const store = memoryObjectStore();
  const to = { epoch: "e", seq: 1, hash: "q3yvs3jbuq" };
  async function* entries() {
    yield await Promise.resolve([entry(1)]);
  }
  const tables = new Map([["todos", { schema: TODOS, from: undefined }]]);
  unwrapOrThrow(
    await jsonDestination({ store }).write({ id: "1", to, tables, entries: entries() }),
  );
  const markNow = async () =>
    unwrapOrThrow(await jsonDestination({ store }).watermarks(["todos"])).get("todos");
  assertEquals(await markNow(), to);
  await flush(jsonDestination({ store }), [entry(2)], to);
  assertEquals(await markNow(), { epoch: "e", seq: 2 });
});

test("jsonDestination() writes nothing on top of another watermark than the newest", async () => {
  const store = memoryObjectStore();
  await settle(jsonDestination({ store }), 3);
  for (const from of [undefined, { epoch: "e", seq: 2 }, { epoch: "f", seq: 3 }]) {
    const outcome = (await flush(jsonDestination({ store }), [entry(4)], from)).get("todos");
    assertEquals(outcome, { status: "moved", watermark: { epoch: "e", seq: 3 } });
  }
  assertEquals(await readSeqs(store), upTo(3));
});

test("two JSON flushers at work on one table all the time double nothing", async () => {
  const store = memoryObjectStore();
  await Promise.all([2, 3].map((step) => settle(jsonDestination({ store }), 30, step)));
  assertEquals(await readSeqs(store), upTo(30));
});

test("a JSON flush whose any operation fails or loses its answer loses and doubles nothing", async () => {
  const run = async (fault: (operation: StoreOperation) => StoreFault | undefined) => {
    const inner = memoryObjectStore();
    await settle(jsonDestination({ store: inner }), 3);
    const store = faultyObjectStore(inner, fault);
    await flush(jsonDestination({ store }), [4, 5, 6].map((seq) => entry(seq)), {
      epoch: "e",
      seq: 3,
    });
    await settle(jsonDestination({ store: inner }), 6);
    assertEquals(await readSeqs(inner), upTo(6));
  };
  let operations = 0;
  await run(({ count }) => (operations = count, undefined));
  assert(operations >= 3);
  for (let at = 1; at <= operations; at++) {
    await run(({ count }) => count === at ? "fail" : undefined);
    await run(({ count }) => count === at ? "lose-answer" : undefined);
    await run(({ count }) => count >= at ? "fail" : undefined);
  }
});

test("a JSON manifest that is damaged is CORRUPT, and is named", async () => {
  const store = memoryObjectStore();
  await settle(jsonDestination({ store }), 3);
  unwrapOrThrow(await store.put(manifestKey("todos", 2), new TextEncoder().encode("{}")));
  const marks = await jsonDestination({ store }).watermarks(["todos"]);
  assert(!marks.ok && marks.error.code === "CORRUPT");
  assert(marks.error.message.includes("000000000002.json"));
});

test("a table of many JSON deltas is cut into objects that are named in order", async () => {
  const store = memoryObjectStore();
  const long = "x".repeat(1_000_000);
  const list = upTo(40).map((seq) => entry(seq, `${seq} ${long}`));
  const outcome = (await flush(jsonDestination({ store }), list)).get("todos");
  assert(outcome?.status === "committed" && outcome.objects === 3, JSON.stringify(outcome));
  assertEquals(await readSeqs(store), upTo(40));
});
