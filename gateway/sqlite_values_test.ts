import { assert, assertEquals } from "@std/assert";
import { unwrapOrThrow } from "@lakesync/core";
import { appendRequest, insertTodo, test, withTempDir } from "@lakesync/testing";
import { openSqliteLogStore } from "./store_sqlite.ts";

test("a value of a commit that failed is not remembered, also where it was read in that commit", () =>
  withTempDir(async (directory) => {
    const path = `${directory}/log.db`;
    const store = unwrapOrThrow(await openSqliteLogStore({ path, maxPages: 60 }));
    unwrapOrThrow(await store.setValue("key", "old"));
    assertEquals(unwrapOrThrow(await store.getValue("key")), "old");
    const seen: (string | undefined)[] = [];
    // They share a commit; what the last one appends does not fit into the file.
    const many = Array.from({ length: 3_000 }, (_, i) => insertTodo(`r${i}`, i + 1));
    const appended = await Promise.all([
      store.append(appendRequest([], { values: new Map([["key", "new"]]) })),
      store.append({
        clientId: "onlooker",
        deltas: [],
        rows: [],
        values: ["key"],
        plan(view) {
          seen.push(view.value("key"));
          return { entries: [], rows: [] };
        },
      }),
      store.append(appendRequest(many)),
    ]);
    assert(appended.every(({ ok }) => !ok), "all of them failed");
    assertEquals(seen, ["new"]);
    assertEquals(unwrapOrThrow(await store.getValue("key")), "old");
    unwrapOrThrow(await store.setValue("key", null));
    assertEquals(unwrapOrThrow(await store.getValue("key")), undefined);
    await store.close();
  }));

test("more values than are kept in memory, and larger ones, are read as they were set", () =>
  withTempDir(async (directory) => {
    const store = unwrapOrThrow(await openSqliteLogStore({ path: `${directory}/log.db` }));
    const values = Array.from({ length: 300 }, (_, i) => "x".repeat(i % 7 === 0 ? 70_000 : i));
    for (const [i, value] of values.entries()) unwrapOrThrow(await store.setValue(`k${i}`, value));
    for (let round = 0; round < 2; round++) {
      for (const [i, value] of values.entries()) {
        assertEquals(unwrapOrThrow(await store.getValue(`k${i}`)), value);
      }
    }
    await store.close();
  }));
