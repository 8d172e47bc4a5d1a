import {
  boolean,
  defineTable,
  number,
  type SqlDatabase,
  type SqlRow,
  type SqlValue,
  string,
  unwrapOrThrow,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import * as fc from "fast-check";
import { type Bench, foreignDelta, withBench } from "./testdata/bench.ts";
import { createClient, type RowChanges } from "./mod.ts";

/** Notes what is asked of a database. */
function noting(database: SqlDatabase): { database: SqlDatabase; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    database: {
      transaction: (body) => database.transaction(body),
      query(sql, params) {
        asked.push(sql);
        return database.query(sql, params);
      },
      tablesOf: (sql) => database.tablesOf(sql),
      close: () => database.close(),
    },
  };
}

async function settle(bench: Bench): Promise<void> {
  await bench.clock.advance(0);
}

const WHERE = [
  "",
  "WHERE done = 0",
  "WHERE rank > ?1",
  "WHERE rank IS NULL OR title LIKE 'b%'",
  "WHERE title COLLATE NOCASE = 'B' OR NOT done",
  "WHERE id IN ('1', '2', '3', '4', '5') AND rank BETWEEN 0 AND 3",
];
const ORDER = [
  "",
  "ORDER BY id",
  "ORDER BY rank DESC, id",
  "ORDER BY title COLLATE NOCASE, rank NULLS LAST",
  "ORDER BY done, length(title) DESC",
  "ORDER BY -rank",
  "ORDER BY 1 DESC",
];
const LIMIT = ["", "LIMIT 1", "LIMIT 3", "LIMIT 5", "LIMIT 2 OFFSET 1"];
const COLUMNS = [
  "*",
  "id, title",
  "title",
  't.id, rank AS r, "done"',
  "id, -rank AS rank",
  "upper(title) title, id",
];
const OTHERS = [
  "SELECT count(*) AS n, max(rank) AS most FROM todos WHERE done = 0",
  "SELECT DISTINCT done FROM todos ORDER BY done",
  "SELECT a.id, b.title FROM todos a JOIN todos b ON a.rank = b.rank AND a.id < b.id ORDER BY 1, b.id",
  "SELECT id FROM todos WHERE rank = (SELECT max(rank) FROM todos) ORDER BY id",
];

const query = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(
      fc.constantFrom(...COLUMNS),
      fc.constantFrom(...WHERE),
      fc.constantFrom(...ORDER),
      fc.constantFrom(...LIMIT),
    ).map(([columns, where, order, limit]) =>
      `SELECT ${columns} FROM todos t ${where} ${order} ${limit}`
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom(...OTHERS) },
);
const id = fc.integer({ min: 1, max: 12 }).map(String);
const values = {
  title: fc.constantFrom("a", "A", "b", "B", "bb", "c"),
  done: fc.boolean(),
  rank: fc.constantFrom(null, 0, 1, 2, 3),
};
const step = fc.oneof(
  fc.record({ op: fc.constant("upsert" as const), id, ...values }),
  fc.record({ op: fc.constant("upsert" as const), id, ...values }),
  fc.record({ op: fc.constant("delete" as const), id }),
  fc.record({ op: fc.constant("pull" as const), id, ...values }),
  fc.record({ op: fc.constant("two" as const), id, ...values }),
  fc.record({ op: fc.constant("burst" as const), id, ...values }),
);

test("a live result is what the query gives after every change, whatever the query", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(query, { minLength: 4, maxLength: 8 }),
      fc.array(step, { minLength: 10, maxLength: 40 }),
      (queries, steps) =>
        withBench(async (bench) => {
          const client = await bench.client();
          const live = queries.map((sql) => {
            const params: SqlValue[] = sql.includes("?1") ? [1] : [];
            const query = client.live(sql, params);
            const told: SqlRow[][] = [];
            query.subscribe((rows) => told.push(rows));
            return { sql, params, query, told };
          });
          await settle(bench);
          let tick = 0;
          for (const step of steps) {
            tick++;
            if (step.op === "delete") unwrapOrThrow(await client.tables.todos.delete(step.id));
            else {
              const { op, id, ...row } = step;
              if (op === "pull") {
                const hlc = String(BigInt(bench.clock.now() + tick) << 16n);
                bench.gateway.append([foreignDelta({ rowId: id, hlc, columns: row })]);
                unwrapOrThrow(await client.syncOnce());
              } else if (op === "two") {
                unwrapOrThrow(
                  await client.transaction(async (tx) => {
                    await tx.tables.todos.upsert({ id, ...row });
                    await tx.tables.todos.delete(`${Number(id) - 1}`);
                  }),
                );
              } else if (op === "burst") {
                // What changes while a query waits or runs.
                await Promise.all([
                  client.tables.todos.upsert({ id, ...row }),
                  client.tables.todos.delete(`${Number(id) + 1}`),
                  client.tables.todos.upsert({ ...row, id: `${Number(id) + 2}` }),
                ]);
              } else unwrapOrThrow(await client.tables.todos.upsert({ id, ...row }));
            }
            await settle(bench);
            for (const { sql, params, query, told } of live) {
              const rows = unwrapOrThrow(await client.query(sql, params));
              assertEquals(query.current, rows, `${sql} after ${JSON.stringify(step)}`);
              assertStrictEquals(query.current, told.at(-1));
            }
          }
        }),
    ),
    { seed: 42, numRuns: 60 },
  ));

test("a change that cannot be in a sorted, limited result does not run its query again", () =>
  withBench(async (bench) => {
    const { database, asked } = noting(await bench.database());
    const client = await bench.client({ database });
    unwrapOrThrow(
      await client.tables.todos.insertMany(
        Array.from({ length: 20 }, (_, i) => ({ id: `${i}`, title: "x", done: false, rank: i })),
      ),
    );
    const sql = "SELECT id, rank FROM todos WHERE done = ? ORDER BY rank, id LIMIT 3";
    const seen: string[] = [];
    client.live<{ id: string; rank: number }>(sql, [0]).subscribe((rows) =>
      seen.push(rows.map(({ id, rank }) => `${id}:${rank}`).join(" "))
    );
    await settle(bench);
    const whole = () => asked.filter((text) => /^SELECT id.*LIMIT 3$/.test(text)).length;
    assertEquals([seen.at(-1), whole()], ["0:0 1:1 2:2", 1]);
    // Beyond the last one, not let through, into the midst of it, and moved within it.
    unwrapOrThrow(await client.tables.todos.update("10", { rank: 30 }));
    unwrapOrThrow(await client.tables.todos.insert({ id: "d", title: "x", done: true, rank: 0 }));
    await settle(bench);
    assertEquals([seen.length, whole()], [1, 1]);
    unwrapOrThrow(await client.tables.todos.update("10", { rank: 0.5 }));
    await settle(bench);
    unwrapOrThrow(await client.tables.todos.update("0", { rank: 0.7 }));
    await settle(bench);
    assertEquals([seen.slice(1), whole()], [["0:0 10:0.5 1:1", "10:0.5 0:0.7 1:1"], 1]);
    // One that leaves lets an unknown one in.
    unwrapOrThrow(await client.tables.todos.update("0", { done: true }));
    await settle(bench);
    assertEquals([seen.at(-1), whole()], ["10:0.5 1:1 2:2", 2]);
  }));

test("rows that did not change stay the same objects, and the changes are told by id", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const table = client.tables.todos;
    unwrapOrThrow(
      await table.insertMany(["a", "b", "c"].map((id) => ({ id, title: id, done: false }))),
    );
    type Row = { id: string; title: string };
    const seen: { rows: Row[]; changes: RowChanges<Row> }[] = [];
    const query = client.live<Row>("SELECT id, title FROM todos ORDER BY title");
    assertEquals(query.current, undefined);
    const stop = query.subscribe((rows, changes) => seen.push({ rows, changes }));
    await settle(bench);
    assertEquals(seen[0]!.changes.added.map(({ id }) => id), ["a", "b", "c"]);
    unwrapOrThrow(await table.update("b", { title: "z" }));
    unwrapOrThrow(await table.delete("a"));
    unwrapOrThrow(await table.insert({ id: "d", title: "d", done: false }));
    await settle(bench);
    const { rows, changes } = seen.at(-1)!;
    assertEquals(rows.map(({ id }) => id), ["c", "d", "b"]);
    assertStrictEquals(rows[0], seen[0]!.rows[2]);
    assertStrictEquals(query.current, rows);
    const ids = (list: readonly Row[]) => list.map(({ id }) => id);
    const all = seen.slice(1).map(({ changes }) => changes);
    assertEquals(all.flatMap(({ added }) => ids(added)), ["d"]);
    assertEquals(all.flatMap(({ changed }) => ids(changed)), ["b"]);
    assertEquals(all.flatMap(({ removed }) => ids(removed)), ["a"]);
    assert(changes !== seen[0]!.changes);
    stop();
    assertEquals(query.current, undefined);
  }));

test("without ids a changed row is one removed and one added", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(await client.tables.todos.insert({ id: "a", title: "a", done: false }));
    let last: RowChanges | undefined;
    client.live("SELECT title FROM todos").subscribe((_, changes) => last = changes);
    await settle(bench);
    unwrapOrThrow(await client.tables.todos.update("a", { title: "b" }));
    await settle(bench);
    assertEquals(last?.added.map(({ title }) => title), ["b"]);
    assertEquals(last?.removed.map(({ title }) => title), ["a"]);
    assertEquals(last?.changed, []);
  }));

test("all who subscribe to the same query share one, and one who comes later has the result", () =>
  withBench(async (bench) => {
    const { database, asked } = noting(await bench.database());
    const client = await bench.client({ database });
    const sql = "SELECT count(*) AS n FROM todos WHERE done = ?";
    const counts: number[] = [];
    const stops = Array.from(
      { length: 5 },
      () => client.live<{ n: number }>(sql, [0]).subscribe(([row]) => counts.push(row!.n)),
    );
    await settle(bench);
    const runs = () => asked.filter((text) => text === sql).length;
    assertEquals([counts, runs()], [[0, 0, 0, 0, 0], 1]);
    stops.push(client.live<{ n: number }>(sql, [0]).subscribe(([row]) => counts.push(row!.n)));
    assertEquals(counts.length, 5);
    await settle(bench);
    assertEquals([counts.length, runs()], [6, 1]);
    for (const stop of stops) stop();
    unwrapOrThrow(await client.tables.todos.insert({ title: "x", done: false }));
    await settle(bench);
    assertEquals([counts.length, runs()], [6, 1]);
    client.live(sql, [1]).subscribe(() => {});
    client.live(sql, [0]).subscribe(() => {});
    await settle(bench);
    assertEquals(runs(), 3);
  }));

test("ids with any characters are followed, and a result that grows large still is right", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const odd = ["a\0b", "a", 'q"', "ü", "😀"];
    const sql = "SELECT title FROM todos ORDER BY rank";
    const query = client.live<{ title: string }>(sql);
    query.subscribe(() => {});
    for (const [i, id] of odd.entries()) {
      unwrapOrThrow(await client.tables.todos.insert({ id, title: `${i}`, done: false, rank: i }));
      await settle(bench);
      assertEquals(query.current?.length, i + 1);
    }
    unwrapOrThrow(await client.tables.todos.delete("a"));
    await settle(bench);
    assertEquals(query.current?.map(({ title }) => title), ["0", "2", "3", "4"]);
    const many = Array.from({ length: 1_500 }, (_, i) => ({ title: "m", done: true, rank: 9 + i }));
    unwrapOrThrow(await client.import("todos", many));
    await settle(bench);
    assertEquals(query.current?.length, 1_504);
    unwrapOrThrow(await client.tables.todos.delete("ü"));
    await settle(bench);
    assertEquals(query.current?.length, 1_503);
  }));

test("columns called like what a query is made of are columns", () =>
  withBench(async (bench) => {
    const table = defineTable("order", { limit: number(), from: string(), where: boolean() });
    const client = unwrapOrThrow(
      await createClient({ tables: [table], database: await bench.database() }),
    );
    const query = client.live(
      'SELECT "from", [limit] AS "order by" FROM "order" WHERE NOT "where" ORDER BY "limit" LIMIT 2',
    );
    query.subscribe(() => {});
    for (const limit of [3, 1, 2, 0]) {
      const row = { id: `${limit}`, limit, from: `${limit}`, where: limit === 0 };
      unwrapOrThrow(await client.tables.order.insert(row));
      await settle(bench);
    }
    assertEquals(query.current?.map(({ from }) => from), ["1", "2"]);
    await client.close();
  }));
