import { type Column, defineTable, string, type Table, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { type Bench, codeOf, todos, withBench } from "./testdata/bench.ts";
import { type Client, type ClientOptions, createClient } from "./mod.ts";

const newer: Table<"todos", typeof todos.columns & { note: Column<string, string, true> }> =
  defineTable("todos", { ...todos.columns, note: string().nullable() }, { version: 2 });

async function open<T extends typeof todos | typeof newer>(
  bench: Bench,
  table: T,
  options: Partial<ClientOptions<readonly [T]>> = {},
): Promise<Client<readonly [T]>> {
  return unwrapOrThrow(
    await createClient<readonly [T]>({
      tables: [table],
      database: await bench.database(),
      transport: bench.gateway,
      sync: { auto: false },
      clock: bench.clock,
      ...options,
    }),
  );
}

test("a new app version takes over old data and an old outbox, and waits for an old gateway", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const before = await open(bench, todos, { database });
    unwrapOrThrow(await before.tables.todos.insert({ id: "1", title: "sent", done: false }));
    unwrapOrThrow(await before.syncOnce());
    unwrapOrThrow(await before.tables.todos.insert({ id: "2", title: "waits", done: false }));
    await before.close();

    const client = await open(bench, newer, { database });
    assertEquals(unwrapOrThrow(await client.tables.todos.get("1"))?.note, null);
    assertEquals(client.status.outbox, 1);
    unwrapOrThrow(await client.tables.todos.update("1", { note: "new" }));
    assertEquals(codeOf(await client.syncOnce()), "CONFLICT");
    assertEquals([client.status.blocked, client.status.outbox], ["schema", 2]);
    assertEquals(unwrapOrThrow(await client.tables.todos.get("1"))?.note, "new");

    bench.gateway.setTables([newer.schema]);
    assertEquals(unwrapOrThrow(await client.syncOnce()).pushed, 2);
    assertEquals([client.status.blocked, client.status.outbox], [undefined, 0]);
    const other = await open(bench, newer);
    unwrapOrThrow(await other.syncOnce());
    assertEquals(unwrapOrThrow(await other.tables.todos.get("1"))?.note, "new");
    assertEquals(unwrapOrThrow(await other.tables.todos.get("2"))?.title, "waits");
  }));

test("an old app works with a new gateway, and its writes leave what it does not know as it is", () =>
  withBench(async (bench) => {
    bench.gateway.setTables([newer.schema]);
    const young = await open(bench, newer);
    const row = { id: "1", title: "a", done: false, note: "keep" };
    unwrapOrThrow(await young.tables.todos.insert(row));
    unwrapOrThrow(await young.syncOnce());
    const old = await open(bench, todos);
    unwrapOrThrow(await old.syncOnce());
    unwrapOrThrow(await old.tables.todos.update("1", { title: "b" }));
    unwrapOrThrow(await old.tables.todos.upsert({ id: "1", title: "b", done: true }));
    unwrapOrThrow(await old.syncOnce());
    unwrapOrThrow(await young.syncOnce());
    assertEquals(unwrapOrThrow(await young.tables.todos.get("1")), {
      id: "1",
      title: "b",
      done: true,
      rank: null,
      note: "keep",
    });
  }));

test("an old app is kept from a database that a newer one has used, and told so", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const young = await open(bench, newer, { database });
    unwrapOrThrow(await young.tables.todos.insert({ id: "1", title: "a", done: false, note: "n" }));
    await young.close();
    const result = await createClient({ tables: [todos], database });
    assertEquals(codeOf(result), "CONFLICT");
    assertStringIncludes(result.ok ? "" : result.error.message, "todos");
    const again = await open(bench, newer, { database });
    assertEquals(unwrapOrThrow(await again.tables.todos.get("1"))?.note, "n");
  }));
