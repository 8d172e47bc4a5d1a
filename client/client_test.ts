import {
  bigint,
  boolean,
  bytes,
  defineTable,
  integer,
  json,
  LakeSyncError,
  number,
  string,
  type Table,
  timestamp,
  unwrapOrThrow,
} from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { codeOf, rowsOf, todos, withBench } from "./testdata/bench.ts";
import { type ClientOptions, createClient } from "./mod.ts";

const everything = defineTable("everything", {
  s: string(),
  n: number().nullable(),
  i: integer().nullable(),
  big: bigint().nullable(),
  flag: boolean().nullable(),
  at: timestamp().nullable(),
  data: bytes().nullable(),
  doc: json().nullable(),
});

test("insert(), get() and query() keep every type of value", () =>
  withBench(async (bench) => {
    const client = unwrapOrThrow(
      await createClient({ tables: [everything], database: await bench.database() }),
    );
    const row = {
      id: "a\u0000b",
      s: "x\u0000\u{1F600}",
      n: -0,
      i: -(2 ** 53) + 1,
      big: -(2n ** 63n),
      flag: false,
      at: new Date(1),
      data: new Uint8Array([0, 255]),
      doc: { b: [null, 1.5], a: "ä" },
    };
    const inserted = unwrapOrThrow(await client.tables.everything.insert(row));
    const expected = { ...row, n: 0, at: "1970-01-01T00:00:00.001000Z" };
    assertEquals(inserted, expected);
    assertEquals(unwrapOrThrow(await client.tables.everything.get(row.id)), expected);
    assertEquals(
      unwrapOrThrow(await client.query("SELECT n, i, big, flag, at, data, doc FROM everything")),
      [{
        n: 0,
        i: -(2 ** 53) + 1,
        big: -(2n ** 63n),
        flag: 0,
        at: "1970-01-01T00:00:00.001000Z",
        data: new Uint8Array([0, 255]),
        doc: '{"a":"ä","b":[null,1.5]}',
      }],
    );
    const empty = unwrapOrThrow(await client.tables.everything.insert({ id: "e", s: "", big: 7 }));
    assertEquals(empty, {
      id: "e",
      s: "",
      n: null,
      i: null,
      big: 7n,
      flag: null,
      at: null,
      data: null,
      doc: null,
    });
    assertEquals(unwrapOrThrow(await client.tables.everything.get("e")), empty);
    await client.close();
  }));

test("insert() makes a UUID where the id is left out, and refuses an id that is there", () =>
  withBench(async (bench) => {
    const { tables } = await bench.client();
    const { id } = unwrapOrThrow(await tables.todos.insert({ title: "Milk", done: false }));
    assertMatch(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assertEquals(
      codeOf(await tables.todos.insert({ id, title: "Bread", done: false })),
      "CONFLICT",
    );
    assertEquals(unwrapOrThrow(await tables.todos.get(id))?.title, "Milk");
  }));

test("update() changes what it names, and writes no delta where nothing differs", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const { todos } = client.tables;
    unwrapOrThrow(await todos.insert({ id: "1", title: "Milk", done: false, rank: 1 }));
    assertEquals(unwrapOrThrow(await todos.update("1", { done: true, rank: null })), {
      id: "1",
      title: "Milk",
      done: true,
      rank: null,
    });
    assertEquals(unwrapOrThrow(await client.pending()), 2);
    unwrapOrThrow(await todos.update("1", { done: true, title: "Milk" }));
    assertEquals(unwrapOrThrow(await client.pending()), 2);
    assertEquals(codeOf(await todos.update("2", { done: true })), "NOT_FOUND");
  }));

test("delete() tells whether the row was there, and the id is free again", () =>
  withBench(async (bench) => {
    const { todos } = (await bench.client()).tables;
    unwrapOrThrow(await todos.insert({ id: "1", title: "Milk", done: true, rank: 3 }));
    assertEquals(unwrapOrThrow(await todos.delete("1")), true);
    assertEquals(unwrapOrThrow(await todos.delete("1")), false);
    assertEquals(unwrapOrThrow(await todos.get("1")), undefined);
    assertEquals(unwrapOrThrow(await todos.insert({ id: "1", title: "Bread", done: false })), {
      id: "1",
      title: "Bread",
      done: false,
      rank: null,
    });
  }));

test("writes that do not fit the schema fail and change nothing", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const { todos } = client.tables;
    // The compiler refuses these: an app in JavaScript does not.
    const insert = todos.insert as (row: unknown) => ReturnType<typeof todos.insert>;
    const update = todos.update as (id: string, row: unknown) => ReturnType<typeof todos.update>;
    for (
      const row of [
        { title: "x" },
        { title: null, done: false },
        { title: 1, done: false },
        { title: "\uD800", done: false },
        { title: "x", done: false, rank: Number.NaN },
        { title: "x", done: false, other: 1 },
        { id: "", title: "x", done: false },
        { id: "x".repeat(257), title: "x", done: false },
        { id: 1, title: "x", done: false },
      ]
    ) assertEquals(codeOf(await insert(row)), "VALIDATION_ERROR", JSON.stringify(row));
    unwrapOrThrow(await todos.insert({ id: "1", title: "Milk", done: false }));
    for (const row of [{ title: null }, { id: "2" }, { nothing: 1 }]) {
      assertEquals(codeOf(await update("1", row)), "VALIDATION_ERROR", JSON.stringify(row));
    }
    assertEquals(await rowsOf(client), [["1", "Milk", 0, null]]);
    assertEquals(unwrapOrThrow(await client.pending()), 1);
  }));

test("tables and columns may be called __proto__ and constructor", () =>
  withBench(async (bench) => {
    const proto = defineTable("__proto__", { ["__proto__"]: string(), constructor: number() });
    const create = defineTable("constructor", { x: string().nullable() });
    const client = unwrapOrThrow(
      await createClient({ tables: [proto, create], database: await bench.database() }),
    );
    const row = { id: "1", ["__proto__"]: "x", constructor: 2 };
    const table = client.tables["__proto__"];
    const insert = table.insert as (row: unknown) => ReturnType<typeof table.insert>;
    assertEquals(Object.entries(unwrapOrThrow(await insert(row))), [
      ["id", "1"],
      ["__proto__", "x"],
      ["constructor", 2],
    ]);
    unwrapOrThrow(await client.tables.constructor.insert({ id: "1" }));
    assertEquals(unwrapOrThrow(await client.query('SELECT count(*) AS n FROM "__proto__"')), [
      { n: 1 },
    ]);
    await client.close();
  }));

test("transaction() commits all or nothing and sees its own writes", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const seen = unwrapOrThrow(
      await client.transaction(async (tx) => {
        const { id } = await tx.tables.todos.insert({ id: "1", title: "Milk", done: false });
        await tx.tables.todos.update(id, { done: true });
        await tx.tables.todos.insert({ id: "2", title: "Bread", done: false });
        assertEquals(await tx.tables.todos.delete("2"), true);
        assertEquals((await tx.tables.todos.get("1"))?.done, true);
        return await tx.query("SELECT id, done FROM todos WHERE title = ?", ["Milk"]);
      }),
    );
    assertEquals(seen, [{ id: "1", done: 1 }]);
    assertEquals(unwrapOrThrow(await client.pending()), 4);

    const failed = await client.transaction(async (tx) => {
      await tx.tables.todos.update("1", { title: "Gone" });
      await tx.tables.todos.insert({ id: "1", title: "Twice", done: false });
    });
    assertEquals(codeOf(failed), "CONFLICT");
    const boom = new Error("boom");
    const thrown = await client.transaction(async (tx) => {
      await tx.tables.todos.delete("1");
      throw boom;
    });
    assert(!thrown.ok && thrown.error.cause === boom);
    assertEquals(await rowsOf(client), [["1", "Milk", 1, null]]);
    assertEquals(unwrapOrThrow(await client.pending()), 4);
  }));

test("transaction() lets no query write past the client", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    for (
      const sql of [
        "DELETE FROM lakesync_own",
        "WITH x AS (SELECT 1) DELETE FROM todos",
        "COMMIT",
      ]
    ) {
      const failed = await client.transaction((tx) => tx.query(sql));
      assertEquals(codeOf(failed), "VALIDATION_ERROR", sql);
    }
  }));

test("transaction() fails when it is committed where it would not fit into one push", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const many = await client.transaction(async (tx) => {
      for (let i = 0; i <= 10_000; i++) {
        await tx.tables.todos.insert({ id: `${i}`, title: "x", done: false });
      }
    });
    assertEquals(codeOf(many), "PAYLOAD_TOO_LARGE");
    const large = await client.transaction(async (tx) => {
      for (let i = 0; i < 9; i++) {
        await tx.tables.todos.insert({ title: "x".repeat(1_000_000), done: false });
      }
    });
    assertEquals(codeOf(large), "PAYLOAD_TOO_LARGE");
    assertEquals(await rowsOf(client), []);
    assertEquals(unwrapOrThrow(await client.pending()), 0);
  }));

test("import() writes any number of rows, changing those that are there", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(await client.tables.todos.insert({ id: "0007", title: "old", done: true }));
    const rows = Array.from({ length: 2_500 }, (_, i) => ({
      id: String(i).padStart(4, "0"),
      title: `t${i}`,
      done: false,
    }));
    assertEquals(unwrapOrThrow(await client.import("todos", rows)), { rows: 2_500 });
    assertEquals(await rowsOf(client, "SELECT count(*), min(title), sum(done) FROM todos"), [
      [2_500, "t0", 0],
    ]);
    // The same again, from an asynchronous source: nothing differs.
    const pending = unwrapOrThrow(await client.pending());
    async function* later() {
      for (const row of rows) yield await Promise.resolve(row);
    }
    assertEquals(unwrapOrThrow(await client.import("todos", later())), { rows: 2_500 });
    assertEquals(unwrapOrThrow(await client.pending()), pending);
    await assertRejects(() => client.import("nothing" as "todos", []), TypeError);
  }));

test("import() stops at a row that does not fit, and keeps the chunks before it", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const rows = Array.from({ length: 1_500 }, (_, i) => ({
      title: i === 1_400 ? "\uD800" : "ok",
      done: false,
    }));
    assertEquals(codeOf(await client.import("todos", rows)), "VALIDATION_ERROR");
    assertEquals(await rowsOf(client, "SELECT count(*) FROM todos"), [[1_000]]);
    const stopped = new AbortController();
    stopped.abort();
    assertEquals(
      codeOf(await client.import("todos", rows, { signal: stopped.signal })),
      "ABORTED",
    );
  }));

test("a client without a gateway works and tells that it cannot sync", () =>
  withTempDir(async (dir) => {
    const client = unwrapOrThrow(
      await createClient({ tables: [todos], database: `${dir}/a.db` }),
    );
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    assertEquals(codeOf(await client.syncOnce()), "OFFLINE");
    assertEquals(client.status.state, "manual");
    await client.close();
    assertEquals(client.status.state, "closed");
    assertEquals(codeOf(await client.syncOnce()), "CLOSED");
    assertEquals(codeOf(await client.tables.todos.delete("1")), "CLOSED");
    const again = unwrapOrThrow(await createClient({ tables: [todos], database: `${dir}/a.db` }));
    assertEquals(again.clientId, client.clientId);
    assertEquals(await rowsOf(again), [["1", "Milk", 0, null]]);
    await again.close();
  }));

test("createClient() gives a database its name once", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const clientId = "alice\u0000:phone";
    assertEquals((await bench.client({ database, clientId })).clientId, clientId);
    assertEquals((await bench.client({ database })).clientId, clientId);
    const other = await createClient({ tables: [todos], database, clientId: "bob" });
    assertEquals(codeOf(other), "CONFLICT");
  }));

test("createClient() refuses wrong options", async () => {
  const database = ":memory:";
  const wrong: ClientOptions<readonly Table[]>[] = [
    { tables: [defineTable("lakesync_own", {})], database },
    { tables: [defineTable("LakeSync_x", {})], database },
    { tables: [defineTable("sqlite_x", {})], database },
    { tables: [todos, defineTable("Todos", {})], database },
    { tables: [todos], database, clientId: "" },
    { tables: [todos], database, sync: { intervalMs: 0 } },
    { tables: [todos], database, url: "nowhere" },
  ];
  for (const options of wrong) await assertRejects(() => createClient(options), TypeError);
});

test("createClient() tells a database of a newer format", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    await bench.client({ database });
    unwrapOrThrow(
      await database.transaction((tx) => tx.run("UPDATE lakesync_state SET format = 99")),
    );
    const opened = await createClient({ tables: [todos], database });
    assert(!opened.ok && opened.error instanceof LakeSyncError);
    assertEquals(opened.error.code, "CORRUPT");
    assertStringIncludes(opened.error.message, "format 99");
  }));
