import { join } from "node:path";
import * as z from "zod";
import {
  bigint,
  boolean,
  type Column,
  defineTable,
  string,
  type Table,
  timestamp,
  unwrapOrThrow,
} from "@lakesync/core";
import {
  FakeGateway,
  ManualClock,
  Prng,
  test,
  testSqlDatabase,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { FakeOrigin, type FakeTab } from "./testdata/fake_tabs.ts";

const columns = { title: string(), done: boolean() };
const todos: Table<"todos", {
  title: Column<string, string>;
  done: Column<boolean, boolean>;
}> = defineTable("todos", columns);

type Tabs = readonly [typeof todos];

const COUNT = "SELECT count(*) AS n FROM todos";

async function count({ client }: FakeTab<Tabs>): Promise<unknown> {
  return unwrapOrThrow(await client.query(COUNT))[0]?.n;
}

function withOrigin(body: (origin: FakeOrigin, directory: string) => Promise<void>): Promise<void> {
  return withTempDir((directory) => body(new FakeOrigin(join(directory, "app.db")), directory));
}

for (const leads of [true, false]) {
  testSqlDatabase({
    name: leads ? "the database of a tab that leads" : "the database of a tab that follows",
    withDatabase: (use) =>
      withOrigin(async (origin) => {
        const first = await origin.open([todos]);
        const { client, database } = leads ? first : await origin.open([todos]);
        await use(database);
        await client.close();
        await first.client.close();
      }),
  });
}

test("tabs see each other's writes, in live queries too", () =>
  withOrigin(async (origin) => {
    const tabs = await Promise.all([1, 2, 3, 4, 5].map(() => origin.open([todos])));
    for (const [i, { client }] of tabs.entries()) {
      const seen = Promise.all(tabs.map(async (other) => {
        for await (const [row] of other.client.live(COUNT)) if (row?.n === i + 1) return;
      }));
      unwrapOrThrow(await client.tables.todos.insert({ title: `from ${i}`, done: false }));
      await seen;
    }
    for (const { client } of tabs) {
      assertEquals(client.status.outbox, 5);
      await client.close();
    }
  }));

test("each kind of write goes by one message and gives what it gives without tabs", () =>
  withOrigin(async (origin) => {
    const first = await origin.open([todos]);
    const { client } = await origin.open([todos]);
    const { todos: table } = client.tables;
    const made = unwrapOrThrow(await table.insert({ title: "a", done: false }));
    assertEquals(made.title, "a");
    assertEquals(unwrapOrThrow(await table.update(made.id, { done: true })), {
      id: made.id,
      title: "a",
      done: true,
    });
    const again = await table.insert({ ...made });
    assertEquals(!again.ok && again.error.code, "CONFLICT");
    assertEquals(
      unwrapOrThrow(await table.insertMany([{ title: "b", done: true }])).map(({ title }) => title),
      ["b"],
    );
    assertEquals(unwrapOrThrow(await table.upsert({ ...made, title: "c" })).title, "c");
    assertEquals(unwrapOrThrow(await table.delete(made.id)), true);
    assertEquals(unwrapOrThrow(await table.delete(made.id)), false);
    const imported = await client.import("todos", [{ id: "i", title: "d", done: true }]);
    assertEquals(unwrapOrThrow(imported), { rows: 1 });
    const sum = unwrapOrThrow(
      await client.transaction(async (tx) => {
        await tx.tables.todos.update("i", { title: "e" });
        return (await tx.query(COUNT))[0]?.n;
      }),
    );
    assertEquals(sum, 2);
    assertEquals(unwrapOrThrow(await first.client.tables.todos.get("i"))?.title, "e");
    await client.close();
    await first.client.close();
  }));

test({
  name: "of writes during which the leading tab ends none that is confirmed is lost or doubled",
  timeoutMs: 30_000,
}, () =>
  withOrigin(async (origin) => {
    const random = new Prng(42);
    const writer = await origin.open([todos]);
    const confirmed: string[] = [];
    let lostAnswers = 0;
    for (let round = 0; round < 50; round++) {
      const leader = await origin.open([todos]);
      // It comes back behind the other one, which leads now.
      writer.tab.hide();
      await writer.tab.show();
      await writer.tab.leader();
      // Ends right after a commit, so that its answer is lost; or a little later in mid-write.
      let commits = 0;
      let countdown = round % 2 === 0 ? random.bytes(1)[0]! % 4 : Infinity;
      origin.beforeAnswer = () => {
        commits++;
        if (countdown-- !== 0) return false;
        lostAnswers++;
        return true;
      };
      const ids = [0, 1, 2, 3, 4].map((i) => `${round}-${i}`);
      const writes = ids.map((id, i) =>
        i < 3
          ? writer.client.tables.todos.insert({ id, title: "x", done: false })
          : writer.client.transaction((tx) =>
            tx.tables.todos.insert({ id, title: "x", done: false })
          )
      );
      if (round % 2 === 1) {
        for (let i = random.bytes(1)[0]! % 40; i > 0; i--) await Promise.resolve();
        await leader.kill();
      }
      for (const row of await Promise.all(writes)) confirmed.push(unwrapOrThrow(row).id);
      assert(commits > 0);
      origin.beforeAnswer = () => false;
    }
    const rows = unwrapOrThrow(await writer.client.query("SELECT id FROM todos ORDER BY id"));
    assertEquals(rows.map(({ id }) => id), confirmed.sort());
    // Each of them has made one delta.
    assertEquals(unwrapOrThrow(await writer.client.pending()), confirmed.length);
    assert(lostAnswers >= 20);
    await writer.client.close();
  }));

test("a transaction whose tab ends is rolled back, and the others go on", () =>
  withOrigin(async (origin) => {
    const leader = await origin.open([todos]);
    const other = await origin.open([todos]);
    const begun = Promise.withResolvers<void>();
    void other.client.transaction(async (tx) => {
      await tx.tables.todos.insert({ title: "half", done: false });
      begun.resolve();
      await new Promise(() => {});
    });
    await begun.promise;
    await other.kill();
    unwrapOrThrow(await leader.client.tables.todos.insert({ title: "whole", done: false }));
    assertEquals(await count(leader), 1);
    await leader.client.close();
  }));

test("a tab that is put aside lets another one lead, and sees what happened when it is back", () =>
  withOrigin(async (origin) => {
    const first = await origin.open([todos]);
    const second = await origin.open([todos]);
    first.tab.hide();
    unwrapOrThrow(await second.client.tables.todos.insert({ title: "meanwhile", done: false }));
    const written = first.client.tables.todos.insert({ title: "later", done: false });
    await first.tab.show();
    unwrapOrThrow(await written);
    assertEquals([await count(first), await count(second)], [2, 2]);
    await first.client.close();
    await second.client.close();
  }));

test("two versions of an app work on one database, and a third that cannot is told so", () =>
  withOrigin(async (origin) => {
    const old = await origin.open([todos]);
    const wider = defineTable("todos", { ...columns, note: string().nullable() }, { version: 2 });
    const newer = await origin.open([wider]);
    unwrapOrThrow(
      await newer.client.tables.todos.insert({ id: "a", title: "t", done: false, note: "n" }),
    );
    unwrapOrThrow(await old.client.tables.todos.update("a", { done: true }));
    unwrapOrThrow(await old.client.tables.todos.insert({ id: "b", title: "o", done: false }));
    const [a, b] = unwrapOrThrow(await newer.client.query("SELECT * FROM todos ORDER BY id"));
    assertEquals([a?.note, a?.done, b?.note], ["n", 1, null]);
    const other = defineTable("todos", { ...columns, note: boolean().nullable() }, { version: 3 });
    let refused: unknown;
    try {
      await origin.open([other]);
    } catch (thrown) {
      refused = thrown;
    }
    assertEquals((refused as { code?: string }).code, "CONFLICT");
    // The old one leads from now on, over the wider tables.
    await newer.client.close();
    unwrapOrThrow(await old.client.tables.todos.update("a", { title: "after" }));
    const [row] = unwrapOrThrow(await old.client.query("SELECT note FROM todos WHERE id = 'a'"));
    assertEquals(row?.note, "n");
    await old.client.close();
  }));

test("data that is removed ends the clients of all tabs, and a new one sees nothing of it", () =>
  withOrigin(async (origin) => {
    const first = await origin.open([todos]);
    const second = await origin.open([todos]);
    unwrapOrThrow(await second.client.tables.todos.insert({ title: "secret", done: false }));
    await second.tab.wipe();
    for (const { client } of [first, second]) {
      const read = await client.query(COUNT);
      assertEquals(!read.ok && read.error.code, "CLOSED");
      assertEquals(client.status.state, "closed");
    }
    const next = await origin.open([todos]);
    assertEquals(await count(next), 0);
    await next.client.close();
  }));

test("the leader syncs for all tabs: they share status, events and what comes", () =>
  withTempDir(async (directory) => {
    const gateway = new FakeGateway({ tables: [todos.schema], clock: new ManualClock(Date.now()) });
    const origin = new FakeOrigin(join(directory, "app.db"), () => gateway);
    const leader = await origin.open([todos]);
    const other = await origin.open([todos]);
    unwrapOrThrow(await other.client.tables.todos.insert({ id: "a", title: "t", done: false }));
    const heard = new Promise((resolve) => leader.client.on("synced", resolve));
    const summary = unwrapOrThrow(await other.client.syncOnce());
    assertEquals(summary.pushed, 1);
    assertEquals(await heard, summary);
    assertEquals([...gateway.visible("todos").keys()], ["a"]);
    for (const { client } of [leader, other]) {
      assertEquals([client.status.outbox, client.status.online], [0, true]);
    }
    gateway.reject = () => "FORBIDDEN_WRITE";
    const rejected = new Promise<unknown>((resolve) => leader.client.on("rejected", resolve));
    unwrapOrThrow(await other.client.tables.todos.insert({ id: "b", title: "t", done: false }));
    unwrapOrThrow(await other.client.syncOnce());
    assertEquals((await rejected as { code: string }[])[0]?.code, "FORBIDDEN_WRITE");
    assertEquals(await count(leader), 1);
    await other.client.close();
    await leader.client.close();
  }));

test("tabs give the leader its tokens, also when the first of them is gone", () =>
  withTempDir(async (directory) => {
    const gateway = new FakeGateway({ tables: [todos.schema], clock: new ManualClock(Date.now()) });
    const tokens: string[] = [];
    const origin = new FakeOrigin(join(directory, "app.db"), (getToken) => ({
      push: (request) => gateway.push(request),
      pull: (request) => gateway.pull(request),
      async checkpoint(request) {
        tokens.push(await getToken!());
        return await gateway.checkpoint(request);
      },
    }));
    const one = await origin.open([todos], { getToken: () => "one's" });
    const two = await origin.open([todos], { getToken: () => "two's" });
    unwrapOrThrow(await two.client.syncOnce());
    await one.client.close();
    gateway.reset();
    unwrapOrThrow(await two.client.syncOnce());
    assertEquals(tokens, ["one's", "two's"]);
    await two.client.close();
  }));

test("a tab's validator judges its writes, and its values come back in its own types", () =>
  withOrigin(async (origin) => {
    const counted = defineTable("counted", { n: bigint(), at: timestamp() }, {
      validate: z.object({ n: z.bigint().max(9n) }),
    });
    const leader = await origin.open([counted]);
    const { client } = await origin.open([counted]);
    const at = "2025-01-01T00:00:00.000000Z";
    const made = unwrapOrThrow(await client.tables.counted.insert({ n: 3n, at }));
    assertEquals(made, unwrapOrThrow(await client.tables.counted.get(made.id)));
    assertEquals(made.n, 3n);
    const refused = await client.tables.counted.update(made.id, { n: 10n });
    assert(!refused.ok && refused.error.code === "VALIDATION_ERROR");
    assertEquals(refused.error.details?.path, ["n"]);
    assertEquals(unwrapOrThrow(await client.tables.counted.get(made.id))?.n, 3n);
    await client.close();
    await leader.client.close();
  }));
