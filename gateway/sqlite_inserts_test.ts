import { DatabaseSync } from "node:sqlite";
import { assertEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import { SqliteInserts } from "./sqlite_inserts.ts";

test("SqliteInserts inserts each row once and in order, however many there are", () => {
  const db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE t (n INTEGER, text TEXT)");
  const inserts = new SqliteInserts(db, {
    columns: 2,
    sql: (values) => `INSERT INTO t VALUES ${values}`,
  });
  for (const count of [0, 1, 31, 32, 33, 64, 65, 1]) {
    db.exec("DELETE FROM t");
    // What a transaction that was rolled back has left is no part of the next one.
    inserts.add(-1);
    inserts.begin();
    for (let n = 0; n < count; n++) {
      inserts.add(n);
      inserts.add(n % 3 === 0 ? null : `text ${n}`);
    }
    inserts.end();
    assertEquals(
      db.prepare("SELECT n, text FROM t ORDER BY rowid").all().map((row) => ({ ...row })),
      Array.from({ length: count }, (_, n) => ({ n, text: n % 3 === 0 ? null : `text ${n}` })),
    );
  }
  db.close();
});
