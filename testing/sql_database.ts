import { LakeSyncError, type Result, type SqlDatabase, unwrapOrThrow } from "@lakesync/core";
import { assertEquals, assertRejects } from "@std/assert";
import { test } from "./test.ts";

/** How a database under test is opened: a new, empty one each time. The suite closes it. */
export interface SqlDatabaseSubject {
  /** Names it in the titles. */
  name: string;
  /** Calls `use` with a fresh database. */
  withDatabase(use: (database: SqlDatabase) => Promise<void>): Promise<void>;
}

/**
 * The conformance suite of the {@linkcode SqlDatabase} port: registers its tests.
 *
 * @param subject The implementation.
 */
export function testSqlDatabase(subject: SqlDatabaseSubject): void {
  const check = (title: string, body: (database: SqlDatabase) => Promise<void>): void =>
    test(`${subject.name} ${title}`, () =>
      subject.withDatabase(async (database) => {
        await body(database);
        await database.close();
      }));

  check("gives back every kind of value, integers exactly", async (database) => {
    const values = [
      null,
      1.5,
      -0.25,
      2 ** 53 - 1,
      2n ** 53n,
      -(2n ** 63n),
      "täxt \u{1F600}",
      "",
    ];
    for (const value of values) {
      assertEquals(await all(database, "SELECT ? AS v", [value]), [{ v: value }]);
      assertEquals(
        unwrapOrThrow(await database.transaction((tx) => tx.all("SELECT ? AS v", [value]))),
        [{ v: value }],
      );
    }
    assertEquals(await all(database, "SELECT ? AS v", [new Uint8Array([0, 255])]), [
      { v: new Uint8Array([0, 255]) },
    ]);
    // A big integer beside small ones leaves those numbers.
    assertEquals(await all(database, "SELECT 1 AS a, 9007199254740993 AS b, 'x' AS c"), [
      { a: 1, b: 9007199254740993n, c: "x" },
    ]);
  });

  check("gives rows without a prototype, whatever their columns are called", async (database) => {
    const rows = await all(database, 'SELECT 1 AS "__proto__", 2 AS "constructor"');
    assertEquals(Object.getPrototypeOf(rows[0]), null);
    assertEquals(Object.entries(rows[0]!), [["__proto__", 1], ["constructor", 2]]);
  });

  check(
    "stores texts whole and finds them by json_each, also with NUL in them",
    async (database) => {
      // Whole texts are not read back: Deno's node:sqlite ends them at their first NUL.
      await write(database, "CREATE TABLE t (id TEXT PRIMARY KEY)");
      const ids = ["a", "a\u0000b", "\u2028", '"\\', "\u{1F600}"];
      for (const id of ids) await write(database, "INSERT INTO t VALUES (?)", [id]);
      const found = await all(
        database,
        "SELECT j.key AS i, hex(t.id) AS bytes FROM json_each(?) j JOIN t ON t.id = j.value ORDER BY i",
        [JSON.stringify(ids)],
      );
      assertEquals(found, ids.map((id, i) => ({ i, bytes: hex(id) })));
    },
  );

  check("commits what a transaction did, and counts changed rows", async (database) => {
    const counts = unwrapOrThrow(
      await database.transaction(async (tx) => [
        await tx.run("CREATE TABLE t (x INTEGER)"),
        await tx.run("INSERT INTO t VALUES (1), (2)"),
        await tx.runMany("INSERT INTO t VALUES (?)", [[3], [4], [5]]),
        await tx.run("UPDATE t SET x = x + 1 WHERE x > ?", [3]),
        await tx.runMany("DELETE FROM t WHERE x = ?", [[1], [99]]),
      ]),
    );
    assertEquals(counts.slice(1), [2, 3, 2, 1]);
    assertEquals(await all(database, "SELECT count(*) AS n FROM t"), [{ n: 4 }]);
  });

  check("runs a writing statement with RETURNING once", async (database) => {
    await write(database, "CREATE TABLE t (x INTEGER)");
    const rows = unwrapOrThrow(
      await database.transaction((tx) =>
        tx.all("INSERT INTO t VALUES (?) RETURNING x", [2n ** 60n])
      ),
    );
    assertEquals(rows, [{ x: 2n ** 60n }]);
    assertEquals(await all(database, "SELECT count(*) AS n FROM t"), [{ n: 1 }]);
  });

  check("rolls back when the body throws, and gives what it threw", async (database) => {
    await write(database, "CREATE TABLE t (x INTEGER)");
    const mine = new LakeSyncError("CONFLICT", "Mine");
    const failed = await database.transaction(async (tx) => {
      await tx.run("INSERT INTO t VALUES (1)");
      throw mine;
    });
    assertEquals(failed, { ok: false, error: mine });
    const other = await database.transaction(() => Promise.reject(new Error("boom")));
    assertEquals(code(other), "INTERNAL");
    assertEquals(await all(database, "SELECT count(*) AS n FROM t"), [{ n: 0 }]);
  });

  check("rolls back after a failed statement, also where the body goes on", async (database) => {
    await write(database, "CREATE TABLE t (x INTEGER PRIMARY KEY)");
    const failed = await database.transaction(async (tx) => {
      await tx.run("INSERT INTO t VALUES (1)");
      await tx.run("INSERT INTO t VALUES (1)").catch(() => 0);
      await tx.run("INSERT INTO t VALUES (2)");
    });
    assertEquals(failed.ok, false);
    assertEquals(await all(database, "SELECT count(*) AS n FROM t"), [{ n: 0 }]);
  });

  check("runs transactions one after the other, in the order of the calls", async (database) => {
    await write(database, "CREATE TABLE t (x INTEGER)");
    const order: string[] = [];
    const one = (name: string) =>
      database.transaction(async (tx) => {
        order.push(`${name} begins`);
        for (let i = 0; i < 5; i++) await tx.run("INSERT INTO t VALUES (?)", [i]);
        order.push(`${name} ends`);
      });
    for (const done of await Promise.all([one("a"), one("b"), one("c")])) unwrapOrThrow(done);
    assertEquals(order, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  });

  check("shows no half of a transaction to a query", async (database) => {
    await write(database, "CREATE TABLE t (x INTEGER)");
    const seen: Promise<unknown>[] = [];
    unwrapOrThrow(
      await database.transaction(async (tx) => {
        await tx.run("INSERT INTO t VALUES (1)");
        // Not awaited here: an implementation with one connection answers after the commit.
        seen.push(all(database, "SELECT count(*) AS n FROM t"));
        await tx.run("INSERT INTO t VALUES (2)");
      }),
    );
    const [rows] = await Promise.all(seen) as [[{ n: number }]];
    assertEquals(rows[0].n === 0 || rows[0].n === 2, true);
    assertEquals(await all(database, "SELECT count(*) AS n FROM t"), [{ n: 2 }]);
  });

  check("refuses statements of a transaction that has ended", async (database) => {
    const tx = unwrapOrThrow(await database.transaction((tx) => Promise.resolve(tx)));
    const error = await assertRejects(() => tx.run("CREATE TABLE t (x)"), LakeSyncError);
    assertEquals(error.code, "CLOSED");
  });

  check("refuses queries that would write, and faulty ones", async (database) => {
    await write(database, "CREATE TABLE t (x INTEGER)");
    for (
      const sql of [
        "INSERT INTO t VALUES (1)",
        "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
        "DELETE FROM t",
        "CREATE TABLE u (x)",
        "CREATE TEMP TABLE u (x)",
        "PRAGMA user_version = 7",
        "PRAGMA query_only = OFF",
        "ATTACH ':memory:' AS other",
        "SELEC 1",
        "SELECT nothing FROM t",
      ]
    ) assertEquals(code(await database.query(sql)), "VALIDATION_ERROR", sql);
    assertEquals(code(await database.query("SELECT ?", [1, 2])), "VALIDATION_ERROR");
    assertEquals(await all(database, "SELECT count(*) AS n FROM t"), [{ n: 0 }]);
    assertEquals(await all(database, "SELECT count(*) AS n FROM pragma_database_list"), [{ n: 1 }]);
    assertEquals(await all(database, "-- a comment\n /* another */ SELECT 1 AS x"), [{ x: 1 }]);
    // A write still works afterwards.
    await write(database, "INSERT INTO t VALUES (1)");
  });

  check("names the tables that a query reads", async (database) => {
    unwrapOrThrow(
      await database.transaction(async (tx) => {
        await tx.run("CREATE TABLE a (id TEXT PRIMARY KEY, x INTEGER)");
        await tx.run("CREATE TABLE b (id TEXT PRIMARY KEY, x INTEGER) WITHOUT ROWID");
        await tx.run('CREATE TABLE "__proto__" (id TEXT PRIMARY KEY, x INTEGER)');
        await tx.run("CREATE INDEX a_x ON a (x)");
        await tx.run("CREATE VIEW v AS SELECT a.x FROM a JOIN b USING (id)");
      }),
    );
    const cases: [sql: string, tables: string[]][] = [
      ["SELECT 1", []],
      ["SELECT * FROM a", ["a"]],
      ["SELECT x FROM a WHERE x > 3 OR id = 'k'", ["a"]],
      ["SELECT count(*) FROM a", ["a"]],
      ["SELECT * FROM v WHERE x = ?", ["a", "b"]],
      ["SELECT x FROM a WHERE x IN (SELECT x FROM b)", ["a", "b"]],
      ["SELECT (SELECT max(x) FROM b WHERE b.id = a.id) FROM a", ["a", "b"]],
      ["WITH c AS (SELECT * FROM b) SELECT * FROM c UNION SELECT * FROM a", ["a", "b"]],
      ["SELECT * FROM json_each('[1]') j JOIN a ON a.x = j.value", ["a"]],
      ['SELECT * FROM "__proto__" p LEFT JOIN b ON b.x = p.x', ["__proto__", "b"]],
    ];
    for (const [sql, tables] of cases) {
      assertEquals([...unwrapOrThrow(await database.tablesOf(sql))].sort(), tables, sql);
    }
    assertEquals(code(await database.tablesOf("DELETE FROM a")), "VALIDATION_ERROR");
    assertEquals(code(await database.tablesOf("SELECT nothing")), "VALIDATION_ERROR");
  });

  check("gives a repeated query the columns that a table has by then", async (database) => {
    await write(database, "CREATE TABLE t (a INTEGER)");
    await write(database, "INSERT INTO t VALUES (1)");
    assertEquals(await all(database, "SELECT * FROM t"), [{ a: 1 }]);
    await write(database, "ALTER TABLE t ADD COLUMN b TEXT DEFAULT 'new'");
    assertEquals(await all(database, "SELECT * FROM t"), [{ a: 1, b: "new" }]);
    await write(database, "ALTER TABLE t RENAME COLUMN a TO c");
    assertEquals(await all(database, "SELECT * FROM t"), [{ c: 1, b: "new" }]);
  });

  check("runs more different statements than it keeps compiled", async (database) => {
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 300; i++) {
        assertEquals(await all(database, `SELECT ${i} AS i, ? AS p`, ["x"]), [{ i, p: "x" }]);
      }
    }
  });

  check("answers CLOSED after close, which may be called twice", async (database) => {
    await database.close();
    await database.close();
    assertEquals(code(await database.query("SELECT 1")), "CLOSED");
    assertEquals(code(await database.tablesOf("SELECT 1")), "CLOSED");
    assertEquals(code(await database.transaction(() => Promise.resolve(1))), "CLOSED");
  });
}

async function all(
  database: SqlDatabase,
  sql: string,
  params: Parameters<SqlDatabase["query"]>[1] = [],
): Promise<{ readonly [column: string]: unknown }[]> {
  return unwrapOrThrow(await database.query(sql, params));
}

async function write(
  database: SqlDatabase,
  sql: string,
  params: Parameters<SqlDatabase["query"]>[1] = [],
): Promise<void> {
  unwrapOrThrow(await database.transaction((tx) => tx.run(sql, params)));
}

function code(result: Result<unknown>): string | undefined {
  return result.ok ? undefined : result.error.code;
}

function hex(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("").toUpperCase();
}
