import { createCollection, createTransaction } from "@tanstack/db";
import fc from "fast-check";
import {
  bigint,
  boolean,
  bytes,
  defineTable,
  json,
  type LakeSyncError,
  string,
  timestamp,
  unwrapOrThrow,
} from "@lakesync/core";
import { FakeGateway, ManualClock, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { type Client, createClient } from "../mod.ts";
import { lakeSyncCollectionOptions, lakeSyncMutationFn } from "./mod.ts";

const todos = defineTable("todos", { title: string(), done: boolean() });
const lists = defineTable("lists", { name: string() });
type Tables = readonly [typeof todos, typeof lists];

function newGateway(): FakeGateway {
  return new FakeGateway({ tables: [todos.schema, lists.schema], clock: new ManualClock(1_000) });
}

async function open(gateway: FakeGateway = newGateway()): Promise<Client<Tables>> {
  return unwrapOrThrow(
    await createClient({
      tables: [todos, lists],
      database: ":memory:",
      transport: gateway,
      sync: { auto: false },
      clock: new ManualClock(1_000),
    }),
  );
}

function collect(client: Client<Tables>) {
  return createCollection(lakeSyncCollectionOptions({ client, table: todos }));
}

/** The rows of a collection by their ids, without what TanStack DB adds to them. */
function shown(collection: Iterable<[string, object]>): [string, unknown][] {
  return [...collection].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([id, row]) => [id, Object.entries(row).filter(([name]) => !name.startsWith("$"))]);
}

async function rowsOf(client: Client<Tables>): Promise<[string, unknown][]> {
  const rows = unwrapOrThrow(await client.query("SELECT id, title, done FROM todos ORDER BY id"));
  return rows.map(({ id, title, done }) => [
    String(id),
    [["id", id], ["title", title], ["done", done === 1]],
  ]);
}

test("a collection has a table's rows, in the form of client.tables", async () => {
  const all = defineTable("all", {
    text: string().nullable(),
    when: timestamp(),
    large: bigint(),
    raw: bytes(),
    data: json<{ a: number[] }>(),
  });
  const client = unwrapOrThrow(await createClient({ tables: [all], database: ":memory:" }));
  const row = unwrapOrThrow(
    await client.tables.all.insert({
      text: "a\0b",
      when: new Date(0),
      large: 1n << 60n,
      raw: new Uint8Array([1, 2]),
      data: { a: [1] },
    }),
  );
  const collection = createCollection(lakeSyncCollectionOptions({ client, table: all }));
  await collection.preload();
  assertEquals(shown(collection), [[row.id, Object.entries(row)]]);
  await collection.cleanup();
  await client.close();
});

test("a collection follows what this device and others change, one after the other", async () => {
  const gateway = newGateway();
  const [here, there] = [await open(gateway), await open(gateway)];
  const collection = collect(here);
  await collection.preload();
  await fc.assert(
    fc.asyncProperty(fc.array(step(), { minLength: 1, maxLength: 12 }), async (steps) => {
      for (const { device, op, id, title } of steps) {
        const { todos } = (device === "here" ? here : there).tables;
        if (op === "put") unwrapOrThrow(await todos.upsert({ id, title, done: false }));
        else if (op === "delete") unwrapOrThrow(await todos.delete(id));
        else for (const each of [there, here]) unwrapOrThrow(await each.syncOnce());
        if (op === "settle") {
          await collection.utils.settled();
          assertEquals(shown(collection), await rowsOf(here));
        }
      }
      await collection.utils.settled();
      assertEquals(shown(collection), await rowsOf(here));
    }),
    { seed: 42, numRuns: 60 },
  );
  await collection.cleanup();
  for (const client of [here, there]) await client.close();
});

function step() {
  return fc.record({
    device: fc.constantFrom("here", "there"),
    op: fc.constantFrom("put", "put", "delete", "sync", "settle"),
    id: fc.constantFrom("a", "b", "c", "d"),
    title: fc.string({ maxLength: 3 }),
  });
}

test("a first sync comes into a collection that is there already", async () => {
  const gateway = newGateway();
  const [here, there] = [await open(gateway), await open(gateway)];
  await there.import("todos", rows(2_000));
  unwrapOrThrow(await there.syncOnce());
  const collection = collect(here);
  await collection.preload();
  assertEquals(collection.size, 0);
  assertEquals(unwrapOrThrow(await here.syncOnce()).checkpointRows, 2_000);
  await collection.utils.settled();
  assertEquals(collection.size, 2_000);
  await collection.cleanup();
  for (const client of [here, there]) await client.close();
});

function rows(count: number) {
  return Array.from({ length: count }, (_, i) => ({ id: `r${i}`, title: `${i}`, done: false }));
}

test("after a change only the rows that it touched are read", async () => {
  const opened = await open();
  await opened.import("todos", rows(1_000));
  const read: number[] = [];
  const client = new Proxy(opened, {
    get(target, name) {
      if (name === "query") {
        return async (sql: string, params: []) => {
          const rows = unwrapOrThrow(await target.query(sql, params));
          read.push(rows.length);
          return { ok: true, value: rows };
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const collection = collect(client);
  await collection.preload();
  await opened.tables.todos.update("r1", { done: true });
  await opened.tables.lists.insert({ name: "not of this table" });
  await opened.tables.todos.delete("r2");
  await collection.utils.settled();
  assertEquals([collection.size, collection.get("r1")?.done], [999, true]);
  assert(read.slice(1).every((rows) => rows <= 2), `rows read: ${read}`);
  assertEquals(read[0], 1_000);
  await collection.cleanup();
  await opened.close();
});

test("what is done in a collection shows at once, is written, and never flickers", async () => {
  const client = await open();
  const collection = collect(client);
  await collection.preload();
  const events: string[] = [];
  collection.subscribeChanges((changes) => {
    for (const { type, value } of changes) events.push(`${type} ${value.title} ${value.done}`);
  });
  const inserted = collection.insert({ id: "1", title: "Milk", done: false });
  assertEquals(collection.get("1")?.title, "Milk");
  await inserted.isPersisted.promise;
  const updated = collection.update("1", (row) => {
    row.done = true;
  });
  assertEquals(collection.get("1")?.done, true);
  await updated.isPersisted.promise;
  assertEquals(await rowsOf(client), shown(collection));
  const deleted = collection.delete("1");
  assertEquals(collection.has("1"), false);
  await deleted.isPersisted.promise;
  assertEquals(await rowsOf(client), []);
  // TanStack DB tells once more of a row when it is no longer only its own.
  const distinct = events.filter((event, i) =>
    event !== events[i - 1]?.replace("insert", "update")
  );
  assertEquals(distinct, ["insert Milk false", "update Milk true", "delete Milk true"]);
  await collection.cleanup();
  await client.close();
});

test("several rows of a collection are one transaction, which fails as a whole and is taken back", async () => {
  const client = await open();
  const collection = collect(client);
  await collection.preload();
  await collection.insert(rows(3)).isPersisted.promise;
  assertEquals((await rowsOf(client)).length, 3);
  // Somebody else has it meanwhile.
  await client.tables.todos.delete("r1");
  const failing = collection.update(["r0", "r1"], (drafts) => {
    for (const draft of drafts) draft.title = "changed";
  });
  assertEquals(collection.get("r0")?.title, "changed");
  const error = await failing.isPersisted.promise.then(() => undefined, (e: LakeSyncError) => e);
  assertEquals(error?.code, "NOT_FOUND");
  await collection.utils.settled();
  assertEquals([collection.get("r0")?.title, collection.has("r1")], ["0", false]);
  await collection.delete(["r0", "r2"]).isPersisted.promise;
  assertEquals([await rowsOf(client), collection.size], [[], 0]);
  await collection.cleanup();
  await client.close();
});

test("a transaction over two collections is one of the client", async () => {
  const gateway = newGateway();
  const client = await open(gateway);
  const allTodos = collect(client);
  const allLists = createCollection(lakeSyncCollectionOptions({ client, table: lists }));
  await Promise.all([allTodos.preload(), allLists.preload()]);
  const save = () => createTransaction({ mutationFn: lakeSyncMutationFn(client) });
  const good = save();
  good.mutate(() => {
    allLists.insert({ id: "l", name: "Shopping" });
    allTodos.insert({ id: "t", title: "Milk", done: false });
  });
  await good.isPersisted.promise;
  unwrapOrThrow(await client.syncOnce());
  const [push] = gateway.requests.flatMap((r) => r.kind === "push" ? [r.request] : []);
  assertEquals(push?.deltas.map(({ rowId }) => rowId), ["l", "t"]);
  assertEquals(push?.deltas[0]?.txId !== undefined, true);
  assertEquals(push?.deltas[0]?.txId, push?.deltas[1]?.txId);

  await client.tables.lists.delete("l");
  const bad = save();
  bad.mutate(() => {
    allTodos.update("t", (row) => {
      row.done = true;
    });
    allLists.insert({ id: "t2", name: "x".repeat(9_000_000) });
  });
  const failed = await bad.isPersisted.promise.then(() => false, () => true);
  assertEquals([failed, allTodos.get("t")?.done, allLists.size], [true, false, 0]);
  for (const collection of [allTodos, allLists]) await collection.cleanup();
  await client.close();
});

test("a collection that is cleaned up follows no more, and starts anew", async () => {
  const client = await open();
  const collection = collect(client);
  await collection.preload();
  await collection.cleanup();
  await client.tables.todos.insert({ id: "1", title: "Milk", done: false });
  assertEquals(collection.size, 0);
  await collection.preload();
  assertEquals(collection.size, 1);
  await collection.cleanup();
  await client.close();
});

test("a collection of a client that is closed says so", async () => {
  const client = await open();
  const collection = collect(client);
  await client.close();
  const error = await collection.preload().then(() => undefined, (e: LakeSyncError) => e);
  assertEquals(error?.code, "CLOSED");
});
