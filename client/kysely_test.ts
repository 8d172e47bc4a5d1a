import {
  bigint,
  boolean,
  bytes,
  defineTable,
  integer,
  json,
  string,
  timestamp,
  unwrapOrThrow,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { queryBuilder, type SqlTables } from "./kysely.ts";
import { createClient } from "./mod.ts";

const todos = defineTable("todos", {
  title: string(),
  done: boolean(),
  list: string().nullable(),
  n: integer(),
  big: bigint().nullable(),
  due: timestamp().nullable(),
  thumb: bytes().nullable(),
  tags: json<string[]>().nullable(),
});
const lists = defineTable("lists", { name: string() });
const tables = [todos, lists] as const;

/** Whether two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;
/** Compiles only where its type argument is `true`. */
function proves<T extends true>(): T | undefined {
  return undefined;
}

test("a built query is run with its parameters, and its rows have their types", async () => {
  const client = unwrapOrThrow(await createClient({ tables, database: ":memory:" }));
  unwrapOrThrow(await client.tables.lists.insert({ id: "l", name: "Home" }));
  unwrapOrThrow(
    await client.tables.todos.upsertMany([
      { id: "1", title: "Milk", done: false, list: "l", n: 1, tags: ["a"] },
      { id: "2", title: "Bread", done: true, n: 2 },
    ]),
  );
  const db = queryBuilder(tables);
  const query = db.selectFrom("todos").innerJoin("lists", "lists.id", "todos.list")
    .select(["todos.id", "title", "done", "lists.name", "tags"]).where("done", "=", 0);
  const rows = unwrapOrThrow(await client.query(query));
  proves<
    Same<typeof rows, {
      id: string;
      title: string;
      done: 0 | 1;
      name: string;
      tags: string | null;
    }[]>
  >();
  assertEquals(rows.map((row) => ({ ...row })), [
    { id: "1", title: "Milk", done: 0, name: "Home", tags: '["a"]' },
  ]);
  assertEquals(unwrapOrThrow(await client.query(query.compile())).length, 1);
  const inside = unwrapOrThrow(
    await client.transaction((tx) => tx.query(db.selectFrom("todos").select("n").orderBy("n"))),
  );
  assertEquals(inside.map(({ n }) => n), [1, 2]);
  await client.close();
});

test("a built query is live, and shares its runs with the same SQL", async () => {
  const client = unwrapOrThrow(await createClient({ tables, database: ":memory:" }));
  const db = queryBuilder(tables);
  const query = db.selectFrom("todos").select("title").where("done", "=", 0).orderBy("title")
    .limit(2);
  const live = client.live(query);
  const iterator = live[Symbol.asyncIterator]();
  assertEquals((await iterator.next()).value, []);
  unwrapOrThrow(await client.tables.todos.insert({ title: "Milk", done: false, n: 1 }));
  assertEquals((await iterator.next()).value?.map(({ title }) => title), ["Milk"]);
  assertEquals(client.live(query.compile()).current?.length, 1);
  await client.close();
});

test("the tables' types are what SQL gives", () => {
  type Row = SqlTables<typeof tables>["todos"];
  proves<Same<Row["done"], 0 | 1>>();
  proves<Same<Row["big"], number | bigint | null>>();
  proves<Same<Row["due"], string | null>>();
  proves<Same<Row["thumb"], Uint8Array | null>>();
  proves<Same<Row["tags"], string | null>>();
  proves<Same<Row["id"], string>>();
  const db = queryBuilder(tables);
  // @ts-expect-error there is no such column
  const query = db.selectFrom("todos").select("titel");
  assertEquals(query.compile().sql, 'select "titel" from "todos"');
});

test("a query is executed by a client, and only with values that SQLite has", async () => {
  const db = queryBuilder(tables);
  const query = db.selectFrom("todos").selectAll();
  await assertRejects(() => query.execute(), TypeError, "client.query()");
  const client = unwrapOrThrow(await createClient({ tables, database: ":memory:" }));
  assertThrows(
    () => client.live({ sql: "SELECT ?", parameters: [{}] }),
    TypeError,
    "Cannot take a parameter",
  );
  assertEquals(
    unwrapOrThrow(await client.query({ sql: "SELECT ? AS yes", parameters: [true] }))[0]?.yes,
    1,
  );
  await client.close();
});
