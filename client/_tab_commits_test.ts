import { unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { openSqlite } from "./open_sqlite.ts";
import { makeCommits, noteCommit, wasCommitted } from "./_tab_commits.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

test("a commit is remembered for 30 days, for a tab that slept meanwhile", async () => {
  const database = unwrapOrThrow(await openSqlite({ path: ":memory:" }));
  const openAt = async (now: number): Promise<boolean> => {
    unwrapOrThrow(await database.transaction((tx) => makeCommits(tx, { now })));
    return await wasCommitted(database, "a");
  };
  assertEquals(await openAt(0), false);
  unwrapOrThrow(await database.transaction((tx) => noteCommit(tx, "a", { now: 0, done: [] })));
  assertEquals(await openAt(30 * DAY_MS), true);
  assertEquals(await openAt(30 * DAY_MS + 1), false);
  await database.close();
});
