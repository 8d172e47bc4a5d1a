import { type SqlDatabase, unwrapOrThrow } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { commitSoon } from "./_commit_soon.ts";
import { SqliteDatabase, type SqliteDatabaseOptions } from "./_sqlite_database.ts";
import { openSqlite } from "./mod.ts";
import { withBench } from "./testdata/bench.ts";

/** A database on a connection that only notes its statements. */
function noting(
  options: Partial<SqliteDatabaseOptions> = {},
): { statements: string[]; database: SqliteDatabase } {
  const statements: string[] = [];
  const note = (sql: string): void => void statements.push(sql);
  const writer = {
    run: (sql: string) => (note(sql), 1_000),
    all: () => [],
    once: () => [],
    close: () => {},
  };
  return { statements, database: new SqliteDatabase({ writer, ...options }) };
}

const write = (name: string) => (tx: { run(sql: string): Promise<number> }) => tx.run(name);

test("a commit that need not be durable is made so by the next one that is", async () => {
  const { statements, database } = noting({ loose: true });
  unwrapOrThrow(await database.transaction(write("a")));
  unwrapOrThrow(await commitSoon(database, write("b")));
  unwrapOrThrow(await commitSoon(database, write("c")));
  unwrapOrThrow(await database.transaction(write("d")));
  const each = (name: string): string[] => ["BEGIN IMMEDIATE", name, "COMMIT"];
  assertEquals(statements, [
    ...each("a"),
    "PRAGMA synchronous = NORMAL",
    ...each("b"),
    ...each("c"),
    "PRAGMA synchronous = FULL",
    ...each("d"),
  ]);
});

test("a database that cannot do otherwise makes every commit durable", async () => {
  const { statements, database } = noting();
  unwrapOrThrow(await commitSoon(database, write("a")));
  assertEquals(statements, ["BEGIN IMMEDIATE", "a", "COMMIT"]);
});

test("after much was written others have their turn before the next transaction begins", async () => {
  let turns = 0;
  const gate = Promise.withResolvers<void>();
  const { statements, database } = noting({ pause: () => (turns++, gate.promise) });
  unwrapOrThrow(await database.transaction(write("a")));
  unwrapOrThrow(await database.transaction(write("b")));
  assertEquals([turns, statements.length], [1, 6]);
  const next = database.transaction(write("c"));
  for (let i = 0; i < 100; i++) await Promise.resolve();
  assertEquals(statements.length, 6);
  gate.resolve();
  unwrapOrThrow(await next);
  assertEquals([turns, statements.length], [1, 9]);
});

test("a write is durable before it resolves; that it was accepted and came back is so with the next one", () =>
  withTempDir((directory) =>
    withBench(async (bench) => {
      const database = unwrapOrThrow(await openSqlite({ path: `${directory}/app.db` }));
      const commits: string[] = [];
      const noted: SqlDatabase & Pick<SqliteDatabase, "transactionSoon"> = {
        transaction: (body) => (commits.push("durable"), database.transaction(body)),
        transactionSoon: (body) => (commits.push("soon"), commitSoon(database, body)),
        query: (sql, params) => database.query(sql, params),
        tablesOf: (sql) => database.tablesOf(sql),
        close: () => database.close(),
      };
      const client = await bench.client({ database: noted, sync: { auto: true } });
      await bench.clock.advance(0);
      while (client.status.state !== "idle" || bench.gateway.held === 0) {
        await bench.clock.advance(0);
      }
      commits.length = 0;
      unwrapOrThrow(
        await client.tables.todos.insert({ id: "1", title: "Milk", done: false }),
      );
      assertEquals(commits, ["durable"]);
      while (unwrapOrThrow(await client.pending()) > 0 || bench.gateway.held === 0) {
        await bench.clock.advance(0);
      }
      assertEquals(commits, ["durable", "soon", "soon"]);
      await client.close();
      await database.close();
    }, { live: true })
  ));
