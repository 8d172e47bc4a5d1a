import {
  type Column,
  defineTable,
  json,
  type JsonValue,
  type PushRequest,
  string,
  type SyncTransport,
  type Table,
  unwrapOrThrow,
} from "@lakesync/core";
import { FakeGateway, ManualClock, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { type Client, createClient } from "./mod.ts";

const notes: Table<"notes", {
  title: Column<string, string>;
  tags: Column<JsonValue, JsonValue>;
}> = defineTable("notes", { title: string(), tags: json() });

type Notes = readonly [typeof notes];

async function open(transport: SyncTransport, clock: ManualClock, live = false) {
  return unwrapOrThrow(
    await createClient({
      tables: [notes],
      database: ":memory:",
      transport,
      clock,
      scheduler: clock,
      sync: live ? { auto: true, intervalMs: 5_000 } : { auto: false },
    }),
  );
}

async function tagsOf(client: Client<Notes>): Promise<unknown[]> {
  const rows = unwrapOrThrow(await client.query("SELECT tags FROM notes ORDER BY id"));
  return rows.map(({ tags }) => JSON.parse(String(tags)));
}

test("what an app does to an object after it was written, or to the row that it got, is no change of it", async () => {
  const clock = new ManualClock();
  const gateway = new FakeGateway({ tables: [notes.schema], clock });
  const a = await open(gateway, clock);
  const b = await open(gateway, clock);
  const tags = ["milk"];
  const row = unwrapOrThrow(await a.tables.notes.insert({ id: "1", title: "one", tags }));
  tags.push("bread");
  (row.tags as string[]).push("eggs");
  for (const client of [a, b]) unwrapOrThrow(await client.syncOnce());
  unwrapOrThrow(await b.tables.notes.update("1", { title: "two" }));
  for (const client of [b, a]) unwrapOrThrow(await client.syncOnce());
  for (const client of [a, b]) {
    assertEquals(await tagsOf(client), [["milk"]]);
    await client.close();
  }
});

test("an object that changes while its delta waits behind a push goes up as it was written", async () => {
  const clock = new ManualClock();
  const gateway = new FakeGateway({ tables: [notes.schema], clock, scheduler: clock });
  const waiting: (() => void)[] = [];
  const sent: string[] = [];
  const a = await open(
    {
      live: true,
      push: async (request: PushRequest, options) => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        sent.push(...request.deltas.map(({ columns }) => JSON.stringify(columns[1]?.value)));
        return await gateway.push(request, options);
      },
      pull: (request, options) => gateway.pull(request, options),
      checkpoint: (request, options) => gateway.checkpoint(request, options),
    },
    clock,
    true,
  );
  await clock.advance(0);
  const tags = ["milk"];
  for (const id of ["1", "2"]) {
    unwrapOrThrow(await a.tables.notes.insert({ id, title: "one", tags }));
  }
  tags.push("bread");
  for (let i = 0; i < 2; i++) {
    waiting.shift()?.();
    await clock.advance(0);
  }
  assertEquals(sent, ['["milk"]', '["milk"]']);
  assertEquals(unwrapOrThrow(await a.rejected.list()), []);
  await a.close();
});
