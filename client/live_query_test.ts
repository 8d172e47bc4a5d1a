import { LakeSyncError, unwrapOrThrow } from "@lakesync/core";
import { defineTable, string } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { assertEquals, assertRejects } from "@std/assert";
import { type Bench, foreignDelta, todos, withBench } from "./testdata/bench.ts";
import { createClient } from "./mod.ts";

type Title = { title: string };
const TITLES = "SELECT title FROM todos ORDER BY title";

function titles(rows: readonly Title[]): string {
  return rows.map(({ title }) => title).join(" ");
}

/** Lets everything happen that needs no time. */
async function settle(bench: Bench): Promise<void> {
  await bench.clock.advance(0);
}

test("subscribe() delivers the first result at once and one after each change", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const seen: string[] = [];
    const stop = client.live<Title>(TITLES).subscribe((rows) => seen.push(titles(rows)));
    await settle(bench);
    assertEquals(seen, [""]);
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    await settle(bench);
    unwrapOrThrow(await client.tables.todos.update("1", { title: "Bread" }));
    await settle(bench);
    assertEquals(seen, ["", "Milk", "Bread"]);
    stop();
    unwrapOrThrow(await client.tables.todos.delete("1"));
    await settle(bench);
    assertEquals(seen.length, 3);
  }));

test("a live query follows what sync brings: pages, checkpoints and rejections", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const seen: string[] = [];
    client.live<Title>(TITLES).subscribe((rows) => seen.push(titles(rows)));
    bench.gateway.append([foreignDelta({ rowId: "1", columns: { title: "a", done: false } })]);
    unwrapOrThrow(await client.syncOnce());
    await settle(bench);
    assertEquals(seen.at(-1), "a");
    bench.gateway.append([
      foreignDelta({
        op: "UPDATE",
        rowId: "1",
        hlc: String(BigInt(bench.clock.now() + 1) << 16n),
        columns: { title: "b" },
      }),
    ]);
    unwrapOrThrow(await client.syncOnce());
    await settle(bench);
    assertEquals(seen.at(-1), "b");
    bench.gateway.reject = () => "FORBIDDEN_WRITE";
    unwrapOrThrow(await client.tables.todos.insert({ id: "2", title: "no", done: false }));
    await settle(bench);
    assertEquals(seen.at(-1), "b no");
    unwrapOrThrow(await client.syncOnce());
    await settle(bench);
    assertEquals(seen.at(-1), "b");
    const count = seen.length;
    // A sync that brings nothing runs nothing.
    unwrapOrThrow(await client.syncOnce());
    await settle(bench);
    assertEquals(seen.length, count);
  }));

test("a live query runs only when a table that it reads has changed", () =>
  withBench(async (bench) => {
    const tags = defineTable("tags", { name: string() });
    const client = unwrapOrThrow(
      await createClient({ tables: [todos, tags], database: await bench.database() }),
    );
    let todoRuns = 0;
    let bothRuns = 0;
    client.live("SELECT count(*) FROM todos").subscribe(() => todoRuns++);
    const both = "SELECT (SELECT count(*) FROM todos) + (SELECT count(*) FROM tags) AS n";
    client.live(both).subscribe(() => bothRuns++);
    await settle(bench);
    unwrapOrThrow(await client.tables.tags.insert({ name: "red" }));
    await settle(bench);
    assertEquals([todoRuns, bothRuns], [1, 2]);
    unwrapOrThrow(await client.tables.todos.insert({ title: "x", done: false }));
    await settle(bench);
    assertEquals([todoRuns, bothRuns], [2, 3]);
    await client.close();
  }));

test("a live query tells nothing where a change leaves its result as it was", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const seen: string[] = [];
    client.live("SELECT title, x'0102' AS b FROM todos WHERE NOT done ORDER BY id").subscribe((
      rows,
    ) => seen.push(rows.map(({ title }) => title).join(" ")));
    await settle(bench);
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "a", done: false }));
    await settle(bench);
    unwrapOrThrow(await client.tables.todos.insert({ id: "2", title: "b", done: true }));
    await settle(bench);
    assertEquals(seen, ["", "a"]);
    unwrapOrThrow(await client.tables.todos.update("2", { done: false }));
    await settle(bench);
    assertEquals(seen, ["", "a", "a b"]);
  }));

test("changes that come together are answered together", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const seen: number[] = [];
    client.live<{ n: number }>("SELECT count(*) AS n FROM todos").subscribe(([row]) =>
      seen.push(row!.n)
    );
    await settle(bench);
    await Promise.all(
      Array.from({ length: 100 }, () => client.tables.todos.insert({ title: "x", done: false })),
    );
    await settle(bench);
    assertEquals(seen.at(-1), 100);
    unwrapOrThrow(
      await client.transaction(async (tx) => {
        for (let i = 0; i < 50; i++) await tx.tables.todos.insert({ title: "y", done: false });
      }),
    );
    await settle(bench);
    assertEquals(seen.at(-1), 150);
    // Never a part of the transaction.
    assertEquals(seen.some((n) => n > 100 && n < 150), false);
  }));

test("iterating gives the first result, then the newest one, and ends with the client", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const results = client.live<Title>(TITLES)[Symbol.asyncIterator]();
    assertEquals((await results.next()).value, []);
    for (const title of ["a", "b", "c"]) {
      unwrapOrThrow(await client.tables.todos.insert({ title, done: false }));
      await settle(bench);
    }
    assertEquals(titles((await results.next()).value ?? []), "a b c");
    const waiting = results.next();
    await client.close();
    assertEquals(await waiting, { done: true, value: undefined });
    assertEquals(await results.next(), { done: true, value: undefined });
  }));

test("leaving a loop ends its live query", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    let results = 0;
    for await (const _ of client.live(TITLES)) {
      results++;
      break;
    }
    unwrapOrThrow(await client.tables.todos.insert({ title: "x", done: false }));
    await settle(bench);
    assertEquals(results, 1);
  }));

test("a live query takes parameters", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(await client.tables.todos.insert({ title: "a", done: true }));
    unwrapOrThrow(await client.tables.todos.insert({ title: "b", done: false }));
    for await (const rows of client.live<Title>("SELECT title FROM todos WHERE done = ?", [1])) {
      assertEquals(titles(rows), "a");
      break;
    }
  }));

test("a live query that fails tells its handler, else the client's error event; loops throw", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const told: string[] = [];
    client.on("error", ({ code }) => told.push(`event ${code}`));
    client.live("SELECT nothing").subscribe(() => {}, {
      onError: ({ code }) => told.push(`handler ${code}`),
    });
    client.live("DELETE FROM todos").subscribe(() => {});
    await settle(bench);
    assertEquals(told.sort(), ["event VALIDATION_ERROR", "handler VALIDATION_ERROR"]);
    await assertRejects(async () => {
      for await (const _ of client.live("SELECT nothing"));
    }, LakeSyncError);
  }));

test("a live query that begins after a checkpoint has put another table in place follows that", () =>
  withTempDir((directory) =>
    withBench(async (bench) => {
      // In a file there are two connections: the one that reads knows the schema of its last query.
      const client = await bench.client({ database: `${directory}/app.db` });
      unwrapOrThrow(await client.query(TITLES));
      bench.gateway.append([foreignDelta({ rowId: "1", columns: { title: "Milk", done: false } })]);
      unwrapOrThrow(await client.syncOnce());
      const seen: string[] = [];
      client.live<Title>(TITLES).subscribe((rows) => seen.push(titles(rows)));
      await settle(bench);
      unwrapOrThrow(await client.tables.todos.update("1", { title: "Bread" }));
      await settle(bench);
      assertEquals(seen, ["Milk", "Bread"]);
    })
  ));

test("a listener that throws disturbs nobody", () =>
  withBench(async (bench) => {
    const logged: string[] = [];
    const client = await bench.client({
      logger: { log: (_, event) => logged.push(event) },
    });
    let heard = 0;
    client.live(TITLES).subscribe(() => {
      throw new Error("boom");
    });
    client.live(TITLES).subscribe(() => heard++);
    client.on("synced", () => {
      throw new Error("boom");
    });
    await settle(bench);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(heard > 0, true);
    assertEquals(logged.includes("listener threw"), true);
  }));
