import { boolean, defineTable, string, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { foreignDelta, withBench } from "./testdata/bench.ts";
import { type Client, createClient } from "./mod.ts";

const columns = { title: string(), done: boolean() };
const plain = defineTable("todos", columns);
const indexed = defineTable("todos", columns, { indexes: [["done", "title"], ["title"]] });
const other = defineTable("todos", columns, { indexes: [["title"], ["done"]] });

async function indexesOf(client: Client): Promise<unknown[]> {
  const rows = unwrapOrThrow(
    await client.query(
      "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'todos' AND sql IS NOT NULL ORDER BY name",
    ),
  );
  return rows.map(({ name }) => name);
}

test("declared indexes are made, used, changed with the declaration, and outlive a checkpoint", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const open = async (table: typeof plain) =>
      unwrapOrThrow(
        await createClient({
          tables: [table],
          database,
          transport: bench.gateway,
          sync: { auto: false },
          clock: bench.clock,
        }),
      );
    assertEquals(await indexesOf(await open(plain)), []);
    const client = await open(indexed);
    const names = ["lakesync index todos (done, title)", "lakesync index todos (title)"];
    assertEquals(await indexesOf(client), names);
    bench.gateway.append([foreignDelta({ rowId: "1", columns: { title: "a", done: false } })]);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await indexesOf(client), names);
    const plan = unwrapOrThrow(
      await database.transaction((tx) =>
        tx.all("EXPLAIN QUERY PLAN SELECT * FROM todos WHERE done = 0 ORDER BY title LIMIT 9")
      ),
    );
    assert(plan.length === 1 && String(plan[0]!.detail).includes(names[0]!));
    assertEquals(await indexesOf(await open(other)), [
      "lakesync index todos (done)",
      "lakesync index todos (title)",
    ]);
    assertEquals(await indexesOf(await open(plain)), []);
  }));

test("an index names columns of its table, each once", () => {
  const message = "indexes[0] must name columns of it, each once";
  // @ts-expect-error there is no such column
  assertThrows(() => defineTable("t", columns, { indexes: [["titel"]] }), TypeError, message);
  assertThrows(() => defineTable("t", columns, { indexes: [[]] }), TypeError, message);
  assertThrows(
    () => defineTable("t", columns, { indexes: [["title", "title"]] }),
    TypeError,
    message,
  );
});
