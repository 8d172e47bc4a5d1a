// Cursors over real servers: what is new, changed and late.
import { sqlCursorSource } from "@lakesync/adapter-sources";
import {
  bigint,
  boolean,
  bytes,
  defineTable,
  integer,
  json,
  number,
  string,
  timestamp,
} from "@lakesync/core";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fails, orders, read, testEach } from "./sql_databases.ts";

testEach(
  "a cursor reads rows in order, ties too, a batch at a time, and goes on",
  async (database) => {
    await database.run(
      database.orders,
      "INSERT INTO orders VALUES (1, 'a', 5), (2, 'b', 5), (3, 'c', 5), (4, 'd', 5), (5, 'e', 2), (6, 'x', NULL)",
    );
    const source = sqlCursorSource({
      name: "orders",
      open: database.open,
      query: "SELECT * FROM orders",
      key: "id",
      cursor: "v",
      to: orders,
      batchSize: 2,
      overlap: 0,
    });
    const first = await read(source, undefined);
    assertEquals(first.found, ["+5=e", "+1=a", "+2=b", "+3=c", "+4=d"]);
    assertEquals(first.batches.map(({ changes }) => changes.length), [2, 2, 1]);
    assertEquals((await read(source, first.cursor)).found, []);
    assertEquals((await read(source, first.batches[0]!.cursor)).found, ["+2=b", "+3=c", "+4=d"]);
    await database.run("UPDATE orders SET item = 'A', v = 6 WHERE id = 1");
    assertEquals((await read(source, first.cursor)).found, ["+1=A"]);
    await source.close();
  },
);

testEach(
  "a cursor looks back for what was committed late, and never goes back itself",
  async (database) => {
    await database.run(database.orders, "INSERT INTO orders VALUES (1, 'a', 100), (2, 'b', 200)");
    const source = sqlCursorSource({
      name: "orders",
      open: database.open,
      query: "SELECT * FROM orders",
      key: "id",
      cursor: "v",
      to: orders,
      batchSize: 1,
      overlap: 50,
    });
    const first = await read(source, undefined);
    await database.run("INSERT INTO orders VALUES (3, 'late', 160), (4, 'too late', 140)");
    const second = await read(source, first.cursor);
    assertEquals(second.found, ["+3=late", "+2=b"]);
    // After the first batch of the second reading: the next one still looks back from 200.
    assertEquals((await read(source, second.batches[0]!.cursor)).found, ["+3=late", "+2=b"]);
    // A pull goes on from its cursor without looking back, and so comes to an end.
    const pulled = [];
    for await (const batch of source.read({ cursor: second.batches[0]!.cursor })) {
      pulled.push(
        batch,
      );
    }
    assertEquals(pulled.length, 1);
    await source.close();
  },
);

testEach("a cursor of times looks back by seconds, exact to the microsecond", async (database) => {
  await database.run(
    "CREATE TABLE orders (id VARCHAR(20) PRIMARY KEY, item VARCHAR(50), at TIMESTAMP(6))",
    "INSERT INTO orders VALUES ('a', 'x', '2024-03-01 00:00:30.000001'), ('b', 'y', '2024-03-01 00:00:30.000002')",
  );
  const source = sqlCursorSource({
    name: "orders",
    open: database.open,
    query: "SELECT * FROM orders",
    key: "id",
    cursor: "at",
    to: orders,
  });
  const first = await read(source, undefined);
  assertEquals(first.found, ["+a=x", "+b=y"]);
  await database.run(
    "INSERT INTO orders VALUES ('c', 'late', '2024-02-29 23:59:30.000002'), ('d', 'gone', '2024-02-29 23:59:30.000001')",
  );
  assertEquals((await read(source, first.cursor)).found, ["+c=late", "+a=x", "+b=y"]);
  await source.close();
});

testEach(
  "every type arrives in wire form; what a column cannot be is told by its name",
  async (database) => {
    const all = defineTable("things", {
      s: string(),
      n: number(),
      i: integer(),
      big: bigint(),
      b: boolean(),
      t: timestamp(),
      raw: bytes(),
      j: json(),
      nil: string().nullable(),
    });
    await database.run(
      "CREATE TABLE things (id BIGINT PRIMARY KEY, s TEXT, n DOUBLE PRECISION, i INT, big BIGINT, b BOOLEAN, t TIMESTAMP(6), raw TEXT, j JSON, nil TEXT)",
      `INSERT INTO things VALUES (9223372036854775807, 'Žluť 🐎', -0.1, -7, 9223372036854775807, TRUE, '2024-02-29 12:30:00.5', CONCAT(CHR(92), 'x00ff'), '{"a":[1,null]}', NULL)`,
    );
    const query = "SELECT * FROM things";
    const common = { name: "things", open: database.open, query, key: "id", cursor: "id" };
    const source = sqlCursorSource({ ...common, to: all.schema });
    const { batches } = await read(source, undefined);
    assertEquals(batches[0]?.changes, [{
      op: "upsert",
      table: "things",
      rowId: "9223372036854775807",
      columns: new Map(Object.entries({
        s: "Žluť 🐎",
        n: -0.1,
        i: -7,
        big: "9223372036854775807",
        b: true,
        t: "2024-02-29T12:30:00.500000Z",
        raw: "AP8=",
        j: { a: [1, null] },
        nil: null,
      })),
    }]);
    await source.close();
    const wrong = sqlCursorSource({
      ...common,
      to: defineTable("things", { s: integer() }).schema,
    });
    assertStringIncludes(
      await fails(wrong),
      'SCHEMA_ERROR Source "things": column "s" of row "9223372036854775807" is no integer of table "things"',
    );
    await wrong.close();
    const missing = sqlCursorSource({ ...common, query: "SELECT * FROM nothing", to: all.schema });
    assertStringIncludes(await fails(missing), 'Cannot read source "things": ');
    await missing.close();
    assertStringIncludes(await fails(wrong, "x"), 'VALIDATION_ERROR Cannot read source "things"');
  },
);
