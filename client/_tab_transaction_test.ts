import { unwrapOrThrow } from "@lakesync/core";
import { ManualClock, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { openSqlite } from "./open_sqlite.ts";
import { TabTransaction } from "./_tab_transaction.ts";

test("a transaction that its tab says nothing to is rolled back, and the others go on", async () => {
  const clock = new ManualClock();
  const database = unwrapOrThrow(await openSqlite({ path: ":memory:" }));
  unwrapOrThrow(await database.transaction((tx) => tx.run("CREATE TABLE t (x)")));
  const silent = new TabTransaction(database, clock);
  await silent.step((tx) => tx.run("INSERT INTO t VALUES (1)"));
  await clock.advance(4_000);
  // A word keeps it.
  await silent.step((tx) => tx.run("INSERT INTO t VALUES (2)"));
  await clock.advance(4_999);
  const next = new TabTransaction(database, clock);
  const written = next.step((tx) => tx.run("INSERT INTO t VALUES (3)"));
  await clock.advance(1);
  assertEquals(await written, 1);
  await next.commit();
  const late = await silent.step((tx) => tx.run("INSERT INTO t VALUES (4)")).catch((e) => e.code);
  assertEquals(late, "TIMEOUT");
  assertEquals(await silent.commit().catch((error) => error.code), "TIMEOUT");
  const rows = unwrapOrThrow(await database.query("SELECT x FROM t"));
  assertEquals(rows.map(({ x }) => x), [3]);
  await database.close();
});
