import { join } from "node:path";
import { boolean, defineTable, string, unwrapOrThrow } from "@lakesync/core";
import { FakeGateway, ManualClock, test, withTempDir } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { FakeOrigin } from "./testdata/fake_tabs.ts";

const todos = defineTable("todos", { title: string(), done: boolean() });

test("a tab that was frozen while the data was removed ends, and does not make it anew", () =>
  withTempDir(async (directory) => {
    const origin = new FakeOrigin(join(directory, "app.db"));
    const first = await origin.open([todos]);
    const second = await origin.open([todos]);
    second.tab.hide();
    await first.tab.wipe();
    await second.tab.show();
    const read = await second.client.query("SELECT * FROM todos");
    assertEquals(!read.ok && read.error.code, "CONFLICT");
    const written = await second.client.tables.todos.insert({ title: "x", done: false });
    assertEquals(written.ok, false);
    const next = await origin.open([todos]);
    assertEquals(next.client.clientId === first.client.clientId, false);
    await next.client.close();
    await second.client.close();
  }));

test("close() waits for writes under way, which answer what became of them", () =>
  withTempDir(async (directory) => {
    const origin = new FakeOrigin(join(directory, "app.db"));
    const first = await origin.open([todos]);
    const second = await origin.open([todos]);
    const writing = [1, 2, 3].map((i) =>
      second.client.tables.todos.insert({ id: `${i}`, title: "x", done: false })
    );
    await second.client.close();
    const written = (await Promise.all(writing)).map((row) => unwrapOrThrow(row).id);
    const rows = unwrapOrThrow(await first.client.query("SELECT id FROM todos ORDER BY id"));
    assertEquals(rows.map(({ id }) => id), written);
    await first.client.close();
  }));

test("pause() holds over a change of leader, also where there was none to hear it", () =>
  withTempDir(async (directory) => {
    const gateway = new FakeGateway({ tables: [todos.schema], clock: new ManualClock(Date.now()) });
    const origin = new FakeOrigin(join(directory, "app.db"), () => gateway);
    const first = await origin.open([todos], { auto: true });
    const second = await origin.open([todos], { auto: true });
    unwrapOrThrow(await first.client.syncOnce());
    second.client.pause();
    await second.client.query("SELECT 1");
    assertEquals(first.client.status.state, "paused");
    await first.client.close();
    unwrapOrThrow(await second.client.tables.todos.insert({ id: "a", title: "x", done: false }));
    assertEquals(second.client.status.state, "paused");
    assertEquals(gateway.visible("todos").size, 0);

    second.tab.hide();
    second.client.resume();
    await second.tab.show();
    const synced = new Promise((resolve) => second.client.on("synced", resolve));
    await second.tab.leader();
    await synced;
    assertEquals([...gateway.visible("todos").keys()], ["a"]);
    await second.client.close();
  }));
