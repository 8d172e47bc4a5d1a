import {
  boolean,
  defineTable,
  type LakeSyncError,
  number,
  string,
  unwrapOrThrow,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { type } from "arktype";
import * as v from "valibot";
import * as z from "zod";
import { codeOf, foreignDelta, withBench } from "./testdata/bench.ts";
import { createClient } from "./mod.ts";

const columns = { title: string(), done: boolean(), rank: number().nullable() };
const validators = {
  zod: defineTable("todos", columns, {
    validate: z.object({ title: z.string().min(1), rank: z.number().max(9).nullable() }),
  }),
  valibot: defineTable("todos", columns, {
    validate: v.object({
      title: v.pipe(v.string(), v.minLength(1)),
      rank: v.nullable(v.pipe(v.number(), v.maxValue(9))),
    }),
  }),
  arktype: defineTable("todos", columns, {
    validate: type({ title: "string > 0", rank: "number <= 9 | null" }),
  }),
};

for (const [name, todos] of Object.entries(validators)) {
  test(`${name} judges inserts, updates, upserts and imports, and its error names the path`, async () => {
    const client = unwrapOrThrow(await createClient({ tables: [todos], database: ":memory:" }));
    const table = client.tables.todos;
    const bad = await table.insert({ id: "1", title: "", done: false });
    assertEquals(codeOf(bad), "VALIDATION_ERROR");
    const error: LakeSyncError | undefined = bad.ok ? undefined : bad.error;
    assertEquals(error?.details?.path, ["title"]);
    assertEquals(error?.message.startsWith('Cannot write to "todos": title is refused'), true);
    unwrapOrThrow(await table.insert({ id: "1", title: "a", done: false }));
    const refused = [
      await table.update("1", { rank: 10 }),
      await table.upsert({ id: "1", title: "", done: true }),
      await table.insertMany([{ id: "2", title: "b", done: false }, { title: "", done: false }]),
      await client.import("todos", [{ title: "", done: false }]),
      await client.transaction((tx) => tx.tables.todos.update("1", { title: "" })),
    ];
    assertEquals(refused.map(codeOf), refused.map(() => "VALIDATION_ERROR"));
    const rows = unwrapOrThrow(await client.query("SELECT id, title, done, rank FROM todos"));
    assertEquals(rows.map((row) => Object.values(row)), [["1", "a", 0, null]]);
    assertEquals(client.status.outbox, 1);
    await client.close();
  });
}

test("what others wrote is not judged, nor does it keep this device from changing other columns", () =>
  withBench(async (bench) => {
    const client = unwrapOrThrow(
      await createClient({
        tables: [validators.zod],
        database: ":memory:",
        transport: bench.gateway,
        sync: { auto: false },
        clock: bench.clock,
      }),
    );
    const columns = { title: "", done: false, rank: 99 };
    bench.gateway.append([foreignDelta({ rowId: "1", columns })]);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(unwrapOrThrow(await client.tables.todos.get("1"))?.rank, 99);
    unwrapOrThrow(await client.tables.todos.update("1", { done: true }));
    assertEquals(codeOf(await client.tables.todos.update("1", { rank: 98 })), "VALIDATION_ERROR");
    unwrapOrThrow(await client.syncOnce());
    assertEquals(bench.gateway.head, 2);
    await client.close();
  }));

test("a rule over the whole row holds for every write; one that waits is waited for", async () => {
  const todos = defineTable("todos", columns, {
    validate: z.object({ title: z.string(), done: z.boolean() }).refine(
      ({ title, done }) => Promise.resolve(!done || title !== "never"),
      { message: "not this one" },
    ),
  });
  const client = unwrapOrThrow(await createClient({ tables: [todos], database: ":memory:" }));
  unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "never", done: false }));
  const done = await client.tables.todos.update("1", { done: true });
  assertEquals(codeOf(done), "VALIDATION_ERROR");
  const text =
    'Cannot write to "todos": the row is refused by the table\'s validator: not this one';
  assertEquals(done.ok ? "" : done.error.message, text);
  await client.close();
});

test("a validator that does not take the table's rows does not compile", () => {
  // @ts-expect-error a title is text
  const table = defineTable("todos", columns, { validate: z.object({ title: z.number() }) });
  assertEquals(table.validate !== undefined, true);
  // @ts-expect-error it may be null
  defineTable("todos", columns, { validate: z.object({ rank: z.number() }) });
});
