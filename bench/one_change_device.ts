/** A device of the one-change benchmark: `one_change_device.ts ROLE URL DATABASE`. */
import process from "node:process";
import { createClient } from "@lakesync/client";
import { unwrapOrThrow } from "@lakesync/core";
import { serveDevice } from "./one_change_loop.ts";
import { todos } from "./_workload.ts";

const [role, url, database] = process.argv.slice(2) as [string, string, string];
const client = unwrapOrThrow(await createClient({ tables: [todos], database, url }));
unwrapOrThrow(await client.syncOnce());
if (role === "a") {
  unwrapOrThrow(await client.tables.todos.insert({ id: "one", title: "One", done: false, n: 0 }));
}
await serveDevice({
  async change(n) {
    unwrapOrThrow(await client.tables.todos.update("one", { n }));
  },
  onShown(listener) {
    client.live("SELECT n FROM todos WHERE id = 'one'").subscribe(([row]) => {
      if (row !== undefined) listener(Number(row.n));
    });
  },
});
