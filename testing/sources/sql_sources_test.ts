// Sources over real servers: what is new, changed, late and gone, through failures.
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import { sqlCursorSource, sqlDiffSource, type SqlSource } from "@lakesync/adapter-sources";
import {
  bigint,
  boolean,
  bytes,
  defineTable,
  integer,
  json,
  number,
  type Result,
  type SourceBatch,
  type SqlServer,
  string,
  timestamp,
  unwrapOrThrow,
} from "@lakesync/core";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { findMariadb, startMariadb } from "../mariadb_server.ts";
import { findPostgres, startPostgres } from "../postgres_server.ts";
import { withTempDir } from "../temp.ts";
import { test } from "../test.ts";
import type { WatchedServer } from "../watched_server.ts";

/** A database that is made anew for a test. */
interface Database {
  readonly open: () => Promise<Result<SqlServer>>;
  /** Runs statements in a transaction. */
  run(...texts: string[]): Promise<void>;
  close(): Promise<void>;
}

async function databaseOf(
  create: (admin: SqlServer, name: string) => Promise<() => Promise<Result<SqlServer>>>,
  admin: SqlServer,
): Promise<Database> {
  const open = await create(admin, `s${++count}`);
  await admin.close();
  const server = unwrapOrThrow(await open());
  return {
    open,
    async run(...texts) {
      unwrapOrThrow(
        await server.transaction(async (work) => {
          for (const text of texts) await work.run({ text, parameters: [] });
        }),
      );
    },
    close: () => server.close(),
  };
}

let count = 0;
let postgres: WatchedServer | undefined;
let mariadb: WatchedServer | undefined;
const { bin, skip: noPostgres } = await findPostgres();
const { programs, skip: noMariadb } = await findMariadb();

const DATABASES = [
  {
    name: "Postgres",
    skip: noPostgres,
    async make(): Promise<Database> {
      postgres ??= await startPostgres({ bin: bin! });
      const { url } = postgres;
      const admin = unwrapOrThrow(await postgresServer({ url }));
      return await databaseOf(
        (_, schema) => Promise.resolve(() => postgresServer({ url, schema })),
        admin,
      );
    },
  },
  {
    name: "MariaDB",
    skip: noMariadb,
    async make(): Promise<Database> {
      mariadb ??= await startMariadb({ programs: programs! });
      const { url } = mariadb;
      const admin = unwrapOrThrow(await mysqlServer({ url }));
      return await databaseOf(async (server, name) => {
        const text = `CREATE DATABASE ${name} CHARACTER SET utf8mb4`;
        unwrapOrThrow(await server.transaction((work) => work.run({ text, parameters: [] })));
        return () => mysqlServer({ url: new URL(name, url).href });
      }, admin);
    },
  },
] as const;

function testEach(title: string, body: (database: Database, dir: string) => Promise<void>): void {
  for (const { name, skip, make } of DATABASES) {
    test({ name: `${title} (${name})`, skip, timeoutMs: 60_000 }, () =>
      withTempDir(async (dir) => {
        const database = await make();
        try {
          await body(database, dir);
        } finally {
          await database.close();
        }
      }));
  }
}

/** Reads a source to its end, as a gateway does: `+key=item` and `-key`. */
async function read(
  source: SqlSource,
  cursor: string | undefined,
): Promise<{ found: string[]; cursor: string | undefined; batches: SourceBatch[] }> {
  const found: string[] = [];
  const batches: SourceBatch[] = [];
  let at = cursor;
  for await (const batch of source.read({ cursor: source.resume(cursor) })) {
    const { changes, cursor } = unwrapOrThrow(batch);
    for (const { op, rowId, columns } of changes) {
      found.push(op === "delete" ? `-${rowId}` : `+${rowId}=${columns.get("item")}`);
    }
    batches.push({ changes, cursor });
    at = cursor;
  }
  return { found, cursor: at, batches };
}

async function fails(source: SqlSource, cursor?: string): Promise<string> {
  for await (const batch of source.read({ cursor })) {
    if (!batch.ok) return `${batch.error.code} ${batch.error.message}`;
  }
  return "nothing failed";
}

const orders = defineTable("orders", { item: string() }).schema;
const ORDERS = "CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(50), v BIGINT)";

testEach(
  "a cursor reads rows in order, ties too, a batch at a time, and goes on",
  async (database) => {
    await database.run(
      ORDERS,
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
    await database.run(ORDERS, "INSERT INTO orders VALUES (1, 'a', 100), (2, 'b', 200)");
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

const diffOf = ({ open }: Database, state: string, batchSize = 3) =>
  sqlDiffSource({
    name: "orders",
    open,
    query: "SELECT * FROM orders",
    key: "id",
    to: orders,
    state,
    batchSize,
  });

testEach("a diff finds what is new, changed and gone, and nothing twice", async (database, dir) => {
  const rows = Array.from({ length: 10 }, (_, i) => `(${i}, 'i${i}', 1)`);
  await database.run(ORDERS, `INSERT INTO orders VALUES ${rows.join(", ")}`);
  const source = diffOf(database, dir);
  const first = await read(source, undefined);
  assertEquals(first.found, Array.from({ length: 10 }, (_, i) => `+${i}=i${i}`));
  assertEquals((await read(source, first.cursor)).batches, []);
  await database.run(
    "UPDATE orders SET item = 'new' WHERE id IN (0, 9)",
    "UPDATE orders SET v = 2 WHERE id = 5",
    "DELETE FROM orders WHERE id IN (1, 4)",
    "INSERT INTO orders VALUES (100, 'more', 1), (-1, 'less', 1)",
  );
  const second = await read(source, first.cursor);
  // A column that the table does not have is not looked at.
  assertEquals(second.found.sort(), ["+-1=less", "+0=new", "+100=more", "+9=new", "-1", "-4"]);
  await database.run("DELETE FROM orders");
  assertEquals((await read(source, second.cursor)).found.length, 10);
  await source.close();
});

testEach(
  "a diff is the same for few and for many changes, of a table that is larger than a page",
  async (database, dir) => {
    const rows = new Map(Array.from({ length: 24_000 }, (_, i) => [i, "a"]));
    const list = (ids: Iterable<number>) => Array.from(ids, (id) => `(${id}, 'a', 1)`).join(", ");
    await database.run(ORDERS, `INSERT INTO orders VALUES ${list(rows.keys())}`);
    const source = diffOf(database, dir, 1_000);
    let { found, cursor } = await read(source, undefined);
    assertEquals(found.length, 24_000);
    const steps: [item: string, changed: (id: number) => boolean, gone: (id: number) => boolean][] =
      [
        // Some buckets at once, more of them page by page, so many that they are not named, all of them.
        ["b", (id) => id % 2_000 === 1, (id) => id % 3_000 === 2],
        ["c", (id) => id % 7 === 3, (id) => id % 100 === 4],
        ["d", () => true, (id) => id % 5 === 0],
        ["e", () => false, () => true],
      ];
    for (const [item, changed, gone] of steps) {
      const deleted = [...rows.keys()].filter(gone);
      for (const id of deleted) rows.delete(id);
      const updated = [...rows.keys()].filter(changed);
      if (updated.length > 0) {
        await database.run(`UPDATE orders SET item = '${item}' WHERE id IN (${updated})`);
      }
      await database.run(`DELETE FROM orders WHERE id IN (${deleted})`);
      ({ found, cursor } = await read(source, cursor));
      const expected = [...updated.map((id) => `+${id}=${item}`), ...deleted.map((id) => `-${id}`)];
      assertEquals(found.sort(), expected.sort());
      assertEquals((await read(source, cursor)).found, []);
    }
    await source.close();
  },
);

testEach(
  "a diff gives again what its reader did not take, and holds each reader by itself",
  async (database, dir) => {
    await database.run(
      ORDERS,
      "INSERT INTO orders VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 1), (4, 'd', 1)",
    );
    const source = diffOf(database, dir, 2);
    const firstOf = async (cursor: string | undefined) => {
      for await (const batch of source.read({ cursor })) return unwrapOrThrow(batch);
      return undefined;
    };
    const keys = (batch: SourceBatch | undefined) => batch?.changes.map(({ rowId }) => rowId);
    const a = await firstOf(undefined);
    assertEquals(keys(a), ["1", "2"]);
    // Taken, then given but not taken, then given again.
    const b = await firstOf(a!.cursor);
    assertEquals(keys(b), ["3", "4"]);
    await database.run(
      "UPDATE orders SET item = 'B' WHERE id = 2",
      "DELETE FROM orders WHERE id = 3",
    );
    const again = await firstOf(a!.cursor);
    assertEquals(keys(again), ["2", "4"]);
    assertEquals(await firstOf(again!.cursor), undefined);
    assertEquals((await read(source, undefined)).found, ["+1=a", "+2=B", "+4=d"]);
    assertStringIncludes(await fails(source, a!.cursor.replace(/\d+$/, "7")), "CONFLICT");
    assertStringIncludes(await fails(source, "7"), "VALIDATION_ERROR");
    await source.close();
  },
);

test(
  { name: "a source goes on where it was when its server is killed and back", skip: noPostgres },
  () =>
    withTempDir(async (dir) => {
      const database = await DATABASES[0].make();
      await database.run(ORDERS, "INSERT INTO orders VALUES (1, 'a', 1)");
      const source = diffOf(database, dir);
      const first = await read(source, undefined);
      await postgres!.kill();
      assert(/^(OFFLINE|STORAGE_ERROR|TIMEOUT) /.test(await fails(source, first.cursor)));
      await postgres!.start();
      const again = await DATABASES[0].make();
      assertEquals((await read(source, first.cursor)).found, []);
      await again.close();
      await source.close();
      await database.close();
    }),
);
