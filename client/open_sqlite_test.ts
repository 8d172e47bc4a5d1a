import { type SqlDatabase, unwrapOrThrow } from "@lakesync/core";
import { test, testSqlDatabase, withTempDir } from "@lakesync/testing";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { Buffer } from "node:buffer";
import { readFile, stat, writeFile } from "node:fs/promises";
import { openSqlite } from "./mod.ts";

testSqlDatabase({
  name: "openSqlite(file)",
  withDatabase: (use) =>
    withTempDir(async (dir) => use(unwrapOrThrow(await openSqlite({ path: `${dir}/a.db` })))),
});

testSqlDatabase({
  name: "openSqlite(memory)",
  withDatabase: async (use) => use(unwrapOrThrow(await openSqlite({ path: ":memory:" }))),
});

async function refused(path: string): Promise<string> {
  const before = await readFile(path);
  const opened = await openSqlite({ path });
  if (opened.ok) {
    await opened.value.close();
    throw new Error(`${path} was opened`);
  }
  assertEquals(opened.error.code, "CORRUPT");
  assertEquals(Buffer.compare(await readFile(path), before), 0, "the file is untouched");
  return opened.error.message;
}

async function pragma(database: SqlDatabase, name: string): Promise<unknown> {
  const rows = unwrapOrThrow(await database.transaction((tx) => tx.all(`PRAGMA ${name}`)));
  return Object.values(rows[0]!)[0];
}

test("openSqlite() keeps data over a reopening, in WAL mode with full syncs", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/a.db`;
    const first = unwrapOrThrow(await openSqlite({ path }));
    assertEquals(await pragma(first, "journal_mode"), "wal");
    assertEquals(await pragma(first, "synchronous"), 2);
    unwrapOrThrow(await first.transaction((tx) => tx.run("CREATE TABLE t AS SELECT 42 AS x")));
    await first.close();
    const second = unwrapOrThrow(await openSqlite({ path }));
    assertEquals(unwrapOrThrow(await second.query("SELECT x FROM t")), [{ x: 42 }]);
    await second.close();
  }));

test("openSqlite() opens what a crash left behind without a clean close", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/a.db`;
    const crashed = unwrapOrThrow(await openSqlite({ path }));
    unwrapOrThrow(await crashed.transaction((tx) => tx.run("CREATE TABLE t AS SELECT 42 AS x")));
    // What a crash leaves: the file and its WAL, as they are now.
    for (const suffix of ["", "-wal"]) {
      await writeFile(`${dir}/b.db${suffix}`, await readFile(`${path}${suffix}`));
    }
    await crashed.close();
    const found = unwrapOrThrow(await openSqlite({ path: `${dir}/b.db` }));
    assertEquals(unwrapOrThrow(await found.query("SELECT x FROM t")), [{ x: 42 }]);
    await found.close();
  }));

test("openSqlite() takes an empty file as a new database", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/a.db`;
    await writeFile(path, "");
    await unwrapOrThrow(await openSqlite({ path })).close();
    assertEquals((await stat(path)).size > 0, true);
  }));

test("openSqlite() refuses a file that is no SQLite database and leaves it as it is", () =>
  withTempDir(async (dir) => {
    await writeFile(`${dir}/a.txt`, "Dear diary, ".repeat(500));
    assertStringIncludes(await refused(`${dir}/a.txt`), "it is not a SQLite database");
    await writeFile(`${dir}/b.txt`, "x");
    assertStringIncludes(await refused(`${dir}/b.txt`), "it is not a SQLite database");
  }));

test("openSqlite() refuses another program's database and leaves it as it is", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/other.db`;
    const other = new DatabaseSync(path);
    other.exec("CREATE TABLE theirs (x)");
    other.close();
    assertStringIncludes(await refused(path), "it belongs to another program");
  }));

test("openSqlite() refuses a damaged database and leaves it as it is", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/a.db`;
    const database = unwrapOrThrow(await openSqlite({ path }));
    unwrapOrThrow(await database.transaction((tx) => tx.run("CREATE TABLE t (x)")));
    await database.close();
    const whole = await readFile(path);
    await writeFile(path, whole.subarray(0, whole.length - 100));
    assertStringIncludes(await refused(path), "it is damaged");
    // The schema's page, behind the header.
    await writeFile(path, new Uint8Array(whole).fill(0xff, 100, 4096));
    await refused(path);
  }));

test("openSqlite() tells STORAGE_ERROR where the path cannot be opened", () =>
  withTempDir(async (dir) => {
    const opened = await openSqlite({ path: `${dir}/missing/a.db` });
    assertEquals(opened.ok ? "" : opened.error.code, "STORAGE_ERROR");
  }));
