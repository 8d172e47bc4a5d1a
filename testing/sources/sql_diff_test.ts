// Differences over real servers, and BigQuery's emulator: what is new, changed and gone, through failures.
import { sqlDiffSource, type SqlSource } from "@lakesync/adapter-sources";
import { type SourceBatch, unwrapOrThrow } from "@lakesync/core";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { withTempDir } from "../temp.ts";
import { test } from "../test.ts";
import {
  BIGQUERY,
  type Database,
  fails,
  MARIADB,
  orders,
  POSTGRES,
  postgresOfAll,
  read,
  testEach,
} from "./sql_databases.ts";

const testDiff = (title: string, body: (database: Database, dir: string) => Promise<void>): void =>
  testEach(title, body, { of: [POSTGRES, MARIADB, BIGQUERY] });

const diffOf = ({ open, query }: Database, state: string, batchSize = 3): SqlSource =>
  sqlDiffSource({
    name: "orders",
    open,
    query,
    key: "id",
    to: orders,
    state,
    batchSize,
  });

testDiff("a diff finds what is new, changed and gone, and nothing twice", async (database, dir) => {
  const rows = Array.from({ length: 10 }, (_, i) => `(${i}, 'i${i}', 1)`);
  await database.run(database.orders, `INSERT INTO orders (id, item, v) VALUES ${rows.join(", ")}`);
  const source = diffOf(database, dir);
  const first = await read(source, undefined);
  assertEquals(first.found, Array.from({ length: 10 }, (_, i) => `+${i}=i${i}`));
  assertEquals((await read(source, first.cursor)).batches, []);
  await database.run(
    "UPDATE orders SET item = 'new' WHERE id IN (0, 9)",
    "UPDATE orders SET v = 2 WHERE id = 5",
    "DELETE FROM orders WHERE id IN (1, 4)",
    "INSERT INTO orders (id, item, v) VALUES (100, 'more', 1), (-1, 'less', 1)",
  );
  const second = await read(source, first.cursor);
  // A column that the table does not have is not looked at.
  assertEquals(second.found.sort(), ["+-1=less", "+0=new", "+100=more", "+9=new", "-1", "-4"]);
  await database.run("DELETE FROM orders WHERE TRUE");
  assertEquals((await read(source, second.cursor)).found.length, 10);
  await source.close();
});

testDiff(
  "a diff is the same for few and for many changes, of a table that is larger than a page",
  async (database, dir) => {
    const rows = new Map(Array.from({ length: 24_000 }, (_, i) => [i, "a"]));
    await database.run(database.orders);
    await database.insert([...rows]);
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

testDiff(
  "a diff gives again what its reader did not take, and holds each reader by itself",
  async (database, dir) => {
    await database.run(
      database.orders,
      "INSERT INTO orders (id, item, v) VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 1), (4, 'd', 1)",
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
  { name: "a source goes on where it was when its server is killed and back", skip: POSTGRES.skip },
  () =>
    withTempDir(async (dir) => {
      const server = await postgresOfAll();
      const database = await POSTGRES.make();
      await database.run(database.orders, "INSERT INTO orders (id, item, v) VALUES (1, 'a', 1)");
      const source = diffOf(database, dir);
      const first = await read(source, undefined);
      await server.kill();
      assert(/^(OFFLINE|STORAGE_ERROR|TIMEOUT) /.test(await fails(source, first.cursor)));
      await server.start();
      const again = await POSTGRES.make();
      assertEquals((await read(source, first.cursor)).found, []);
      await again.close();
      await source.close();
      await database.close();
    }),
);
