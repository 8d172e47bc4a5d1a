import { unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Client } from "./mod.ts";
import { codeOf, rowsOf, type Todos, withBench } from "./testdata/bench.ts";

const row = fc.record({
  id: fc.constantFrom("a", "b", "c", "d", "e"),
  title: fc.constantFrom("Milk", "Bread"),
  done: fc.boolean(),
  rank: fc.option(fc.integer({ min: 0, max: 2 })),
});

/** The deltas of a client, without what tells two runs apart. */
async function deltasOf(client: Client<Todos>): Promise<unknown[]> {
  const rows = await rowsOf(client, "SELECT json FROM lakesync_own ORDER BY ord");
  return rows.map((cells) => {
    const { op, rowId, columns } = JSON.parse((cells as string[])[0]!);
    return { op, rowId, columns };
  });
}

test("many rows at once become what each by itself becomes: rows that are there, were removed, or come twice", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { maxLength: 4 }),
      fc.subarray(["a", "b", "c"]),
      fc.array(row, { maxLength: 8 }),
      fc.boolean(),
      (before, removed, rows, synced) =>
        withBench(async (bench) => {
          const clients = [await bench.client(), await bench.client()] as const;
          for (const client of clients) {
            for (const row of before) unwrapOrThrow(await client.tables.todos.upsert(row));
            if (synced) unwrapOrThrow(await client.syncOnce());
            for (const id of removed) unwrapOrThrow(await client.tables.todos.delete(id));
          }
          const [many, single] = clients;
          const returned = unwrapOrThrow(await many.tables.todos.upsertMany(rows));
          const expected = [];
          for (const row of rows) {
            expected.push(unwrapOrThrow(await single.tables.todos.upsert(row)));
          }
          assertEquals(returned, expected);
          assertEquals(await rowsOf(many), await rowsOf(single));
          if (!synced) assertEquals(await deltasOf(many), await deltasOf(single));
        }),
    ),
    { seed: 42, numRuns: 100 },
  );
});

test("in a transaction many rows follow on what it has done, and what follows builds on them", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(
      await client.transaction(async ({ tables: { todos }, query }) => {
        await todos.insert({ id: "a", title: "Milk", done: false });
        await todos.delete("a");
        await todos.insertMany([
          { id: "a", title: "Bread", done: false },
          { id: "b", title: "Salt", done: false, rank: 1 },
          { id: "c", title: "Tea", done: false },
        ]);
        assertEquals((await query("SELECT count(*) AS n FROM todos"))[0]?.n, 3);
        await todos.update("b", { done: true });
        await todos.delete("c");
        assertEquals(await todos.get("b"), { id: "b", title: "Salt", done: true, rank: 1 });
      }),
    );
    assertEquals(await rowsOf(client), [["a", "Bread", 0, null], ["b", "Salt", 1, 1]]);
    const again = await client.tables.todos.insertMany([
      { id: "d", title: "Oil", done: false },
      { id: "a", title: "Bread", done: false },
    ]);
    assertEquals(codeOf(again), "CONFLICT");
    assertEquals((await rowsOf(client)).length, 2);
  }));
