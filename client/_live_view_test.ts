import { defineTable, number, type SqlValue, string, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { liveShape } from "./_live_shape.ts";
import { LiveView } from "./_live_view.ts";
import { localTable } from "./_local_table.ts";
import { openSqlite } from "./open_sqlite.ts";

const table = localTable(defineTable("t", { a: number().nullable(), b: string() }));
const tables = new Map([["t", table]]);

const change = fc.record({
  id: fc.integer({ min: 1, max: 9 }).map(String),
  a: fc.constantFrom(null, 1, 2, 3, 4),
  b: fc.constantFrom("x", "y"),
  gone: fc.boolean(),
  // Whether the view is told of all that it was not told of yet, or is only told of this one.
  tell: fc.constantFrom("all", "this", "later", "later"),
});

const QUERIES = [
  "SELECT b FROM t WHERE b = 'x' ORDER BY a, id LIMIT 3",
  "SELECT id FROM t ORDER BY a DESC, id LIMIT 2",
  "SELECT b FROM t WHERE a > 1 ORDER BY id",
  "SELECT a FROM t ORDER BY b, a LIMIT 4",
];

test("a view that is told of changes late, in any order, is right when it has been told of all", () =>
  fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...QUERIES),
      fc.array(change, { minLength: 4, maxLength: 25 }),
      async (sql, changes) => {
        const database = unwrapOrThrow(await openSqlite({ path: ":memory:" }));
        unwrapOrThrow(await database.transaction((tx) => tx.run(table.shown.create)));
        const shape = liveShape(sql, [], tables);
        assert(shape !== undefined);
        const view = new LiveView(database, shape, []);
        let shown = unwrapOrThrow(await view.refresh(undefined));
        const untold = new Set<string>();
        const tell = async (ids: Iterable<string>) => {
          const told = new Set(ids);
          for (const id of told) untold.delete(id);
          shown = unwrapOrThrow(await view.refresh(told)) ?? shown;
        };
        for (const { id, a, b, gone, tell: when } of changes) {
          const params: SqlValue[] = gone ? [id] : [id, a, b];
          unwrapOrThrow(
            await database.transaction((tx) =>
              tx.run(gone ? table.shown.remove : table.shown.put, params)
            ),
          );
          untold.add(id);
          if (when === "this") await tell([id]);
          if (when !== "all") continue;
          await tell([...untold]);
          assertEquals(shown, unwrapOrThrow(await database.query(sql)));
        }
        await tell([...untold]);
        assertEquals(shown, unwrapOrThrow(await database.query(sql)));
        await database.close();
      },
    ),
    { seed: 42, numRuns: 400 },
  ));

test("only queries whose rows are judged each by itself have a shape", () => {
  const shaped = [
    "SELECT * FROM t",
    'select "t"."a" from "t" where "t"."b" = ? order by "t"."a" asc limit ?',
    "SELECT x.id, lower(b) AS low FROM t AS x WHERE a IN (1, 2) OR NOT b LIKE 'x%' ORDER BY a DESC NULLS LAST",
    "SELECT id /* all */ FROM T -- of them\n WHERE a IS NULL",
    "SELECT CASE WHEN a > 1 THEN b ELSE 'no' END AS c FROM t ORDER BY b COLLATE NOCASE, id",
  ];
  const others = [
    "SELECT count(*) FROM t",
    "SELECT max(a) FROM t",
    "SELECT DISTINCT a FROM t",
    "SELECT a FROM t GROUP BY a",
    "SELECT t.a FROM t JOIN t u ON t.id = u.id",
    "SELECT a FROM t, t AS u",
    "SELECT a FROM t WHERE a = (SELECT max(a) FROM t)",
    "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM t)",
    "SELECT a FROM t UNION SELECT a FROM t",
    "WITH x AS (SELECT * FROM t) SELECT * FROM x",
    "SELECT a FROM t WHERE b > date('now')",
    "SELECT a, random() FROM t",
    "SELECT a FROM t WHERE b > CURRENT_TIMESTAMP",
    "SELECT row_number() OVER (ORDER BY a) FROM t",
    "SELECT a FROM t ORDER BY a LIMIT 5 OFFSET 2",
    "SELECT a FROM t ORDER BY a LIMIT 2, 5",
    "SELECT a FROM t ORDER BY 1",
    "SELECT -a AS a FROM t ORDER BY a",
    "SELECT -a a FROM t ORDER BY a",
    "SELECT a FROM t ORDER BY a LIMIT 5000",
    "SELECT rowid FROM t",
    "SELECT a FROM other",
    "SELECT a FROM t WHERE a = :name",
    'SELECT "nothing" FROM t',
    "VALUES (1)",
  ];
  const hasShape = (sql: string) => liveShape(sql, ["x", 3], tables) !== undefined;
  assertEquals(shaped.filter((sql) => !hasShape(sql)), []);
  assertEquals(others.filter(hasShape), []);
});
