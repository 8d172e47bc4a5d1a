/** How long it takes until another tab leads: no longer than the browser takes to free lock and files. */
import { join } from "node:path";
import {
  boolean,
  type Column,
  defineTable,
  string,
  type Table,
  unwrapOrThrow,
} from "@lakesync/core";
import { ManualClock, test, withTempDir } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { FakeOrigin, type FakeTab } from "./testdata/fake_tabs.ts";

const todos: Table<"todos", {
  title: Column<string, string>;
  done: Column<boolean, boolean>;
}> = defineTable("todos", { title: string(), done: boolean() });

type TodosTab = FakeTab<readonly [typeof todos]>;

/** The ways in which leadership ends. */
const ENDS: Readonly<Record<string, (leader: TodosTab) => Promise<void> | void>> = {
  "is closed": ({ client }) => client.close(),
  "crashes": (leader) => leader.kill(),
  "is frozen": ({ tab }) => tab.hide(),
};

for (const [end, run] of Object.entries(ENDS)) {
  test(`where the leading tab ${end} the next one answers without waiting for any timer`, () =>
    withTempDir(async (directory) => {
      const origin = new FakeOrigin(join(directory, "app.db"));
      // Time stands still from here on: whatever waits for it waits for ever.
      origin.scheduler = new ManualClock();
      const tabs: TodosTab[] = [];
      for (let i = 0; i < 5; i++) tabs.push(await origin.open([todos]));
      let rows = 0;
      while (tabs.length > 1) {
        await run(tabs.shift()!);
        // Asked by a tab that leads next, and by one that follows it.
        for (const { client } of [tabs[0]!, tabs.at(-1)!]) {
          unwrapOrThrow(await client.tables.todos.insert({ title: "x", done: false }));
          const read = unwrapOrThrow(await client.query("SELECT count(*) AS n FROM todos"));
          assertEquals(read[0]?.n, ++rows);
        }
      }
      await tabs[0]!.client.close();
    }));
}
