import { copyFile, readFile, writeFile } from "node:fs/promises";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { isVisible, unwrapOrThrow } from "@lakesync/core";
import { appendRequest, insertTodo, test, testLogStore, withTempDir } from "@lakesync/testing";
import { DatabaseSync } from "node:sqlite";
import { openSqliteLogStore } from "./store_sqlite.ts";
import { deleteTodo } from "./testdata/fixture.ts";

testLogStore({
  name: "sqlite",
  durable: true,
  shared: false,
  open: async ({ directory, clock }) =>
    unwrapOrThrow(await openSqliteLogStore({ path: `${directory}/log.db`, clock })),
});

test("openSqliteLogStore() refuses a foreign or damaged file and leaves it untouched", () =>
  withTempDir(async (directory) => {
    const path = `${directory}/log.db`;
    const good = unwrapOrThrow(await openSqliteLogStore({ path }));
    unwrapOrThrow(
      await good.append(appendRequest(
        Array.from({ length: 2_000 }, (_, i) => insertTodo(`r${i}`, i + 1)),
      )),
    );
    await good.close();
    const bytes = await readFile(path);
    const foreign = new DatabaseSync(`${directory}/foreign.db`);
    foreign.exec("CREATE TABLE accounts (id INTEGER)");
    foreign.close();
    const zeroed = Uint8Array.from(bytes);
    zeroed.fill(0, 8192, 5 * 8192);
    const otherLayout = Uint8Array.from(bytes);
    otherLayout[63] = 99;
    const files: [name: string, contents: Uint8Array, reason: string][] = [
      ["text", new TextEncoder().encode("shopping list\n".repeat(50)), "not a SQLite file"],
      ["short", bytes.subarray(0, 40), "not a SQLite file"],
      ["foreign", await readFile(`${directory}/foreign.db`), "other program's"],
      ["truncated", bytes.subarray(0, bytes.length - 3 * 8192), "damaged"],
      ["cut", bytes.subarray(0, bytes.length - 100), "it ends within a page"],
      ["zeroed", zeroed, "damaged"],
      ["layout", otherLayout, "its layout is 99"],
    ];
    for (const [name, contents, reason] of files) {
      const copy = `${directory}/${name}.log`;
      await writeFile(copy, contents);
      const opened = await openSqliteLogStore({ path: copy });
      assert(!opened.ok, name);
      assertEquals(opened.error.code, "CORRUPT", name);
      assertStringIncludes(opened.error.message, reason);
      assertEquals(new Uint8Array(await readFile(copy)), new Uint8Array(contents), name);
    }
  }));

test("openSqliteLogStore() makes the file anew where a kill broke off its making", () =>
  withTempDir(async (directory) => {
    const path = `${directory}/log.db`;
    await unwrapOrThrow(await openSqliteLogStore({ path })).close();
    // What a kill leaves before the commit: the pages, and a rollback journal that says that there
    // were none. https://www.sqlite.org/fileformat.html#the_rollback_journal
    const journal = new DataView(new ArrayBuffer(512));
    [0xd9d505f9, 0x20a163d7, 0, 0, 0, 512, 8192].forEach((word, i) =>
      journal.setUint32(4 * i, word)
    );
    await writeFile(`${path}-journal`, new Uint8Array(journal.buffer));
    const store = unwrapOrThrow(await openSqliteLogStore({ path }));
    const appended = unwrapOrThrow(await store.append(appendRequest([insertTodo("a", 1)])));
    assertEquals(appended.head.seq, 1);
    await store.close();
  }));

test("openSqliteLogStore() names the path that cannot be opened and the next step", () =>
  withTempDir(async (directory) => {
    await writeFile(`${directory}/file`, "");
    const path = `${directory}/file/log.db`;
    const opened = await openSqliteLogStore({ path });
    assert(!opened.ok);
    assertEquals(opened.error.code, "STORAGE_ERROR");
    assertStringIncludes(opened.error.message, `Cannot open "${path}": `);
    assertStringIncludes(opened.error.message, "choose another data directory");
  }));

test("openSqliteLogStore() notices an entry that was changed behind its back", () =>
  withTempDir(async (directory) => {
    const path = `${directory}/log.db`;
    const store = unwrapOrThrow(await openSqliteLogStore({ path }));
    unwrapOrThrow(await store.append(appendRequest([insertTodo("a", 1), insertTodo("b", 2)])));
    await store.close();
    const db = new DatabaseSync(path);
    db.exec("UPDATE meta SET value = '0' WHERE key = 'folded'; DELETE FROM log WHERE seq = 1");
    db.close();
    const opened = await openSqliteLogStore({ path });
    assertEquals(opened.ok || opened.error.code, "CORRUPT");
  }));

test("openSqliteLogStore() refuses a log that is open already", () =>
  withTempDir(async (directory) => {
    const path = `${directory}/log.db`;
    const store = unwrapOrThrow(await openSqliteLogStore({ path }));
    const second = await openSqliteLogStore({ path });
    assertEquals(second.ok || second.error.code, "CONFLICT");
    await store.close();
    await unwrapOrThrow(await openSqliteLogStore({ path })).close();
  }));

test("a store that is opened anew has no leases: their holders' process is gone", () =>
  withTempDir(async (directory) => {
    const path = `${directory}/log.db`;
    const store = unwrapOrThrow(await openSqliteLogStore({ path }));
    unwrapOrThrow(await store.acquireLease("flush", { holder: "killed", ttlMs: 60_000 }));
    await store.close();
    const again = unwrapOrThrow(await openSqliteLogStore({ path }));
    assert(unwrapOrThrow(await again.acquireLease("flush", { holder: "new", ttlMs: 60_000 })));
    await again.close();
  }));

test("damage that is met while the store is open is CORRUPT, with the next step", () =>
  withTempDir(async (directory) => {
    const path = `${directory}/log.db`;
    const store = unwrapOrThrow(await openSqliteLogStore({ path }));
    for (let i = 0; i < 5; i++) {
      const deltas = Array.from(
        { length: 2_000 },
        (_, n) => insertTodo(`r${i}-${n}`, i * 2_000 + n + 1),
      );
      unwrapOrThrow(await store.append(appendRequest(deltas)));
    }
    await store.close();
    const again = unwrapOrThrow(await openSqliteLogStore({ path }));
    const bytes = Uint8Array.from(await readFile(path));
    bytes.fill(0xff, 20 * 8192, bytes.length - 8192);
    await writeFile(path, bytes);
    const read = await again.read(0, { limit: 10_000 });
    assert(!read.ok);
    assertEquals(read.error.code, "CORRUPT");
    assertStringIncludes(read.error.message, "stop the gateway and restore a backup");
    await again.close();
  }));

test("a full disk is an error to each append, and nothing is half-written", () =>
  withTempDir(async (directory) => {
    const path = `${directory}/log.db`;
    const store = unwrapOrThrow(await openSqliteLogStore({ path, maxPages: 64 }));
    let accepted = 0;
    let failed: string | undefined;
    for (let i = 0; i < 100 && failed === undefined; i++) {
      const deltas = Array.from(
        { length: 100 },
        (_, n) => insertTodo(`r${i}-${n}`, 1 + i * 100 + n),
      );
      const outcome = await store.append(appendRequest(deltas, { oneTransaction: true }));
      if (outcome.ok) accepted += 100;
      else failed = outcome.error.code;
    }
    assertEquals(failed, "STORAGE_ERROR");
    assert(accepted > 0);
    assertEquals(unwrapOrThrow(await store.head()).seq, accepted);
    assertEquals(unwrapOrThrow(await store.read(0, { limit: 100_000 })).length, accepted);
    await store.close();

    const again = unwrapOrThrow(await openSqliteLogStore({ path }));
    assertEquals(unwrapOrThrow(await again.head()).seq, accepted);
    assertEquals(unwrapOrThrow(await again.stats()).rows.get("todos"), accepted);
    const next = unwrapOrThrow(await again.append(appendRequest([insertTodo("after", 1_000_000)])));
    assertEquals(next.first, accepted + 1);
    await again.close();
  }));

test("rows survive many generations of folding and a process that never closed its store", () =>
  withTempDir(async (directory) => {
    const path = `${directory}/log.db`;
    const store = unwrapOrThrow(await openSqliteLogStore({ path }));
    const total = 140_000;
    for (let i = 0; i < total; i += 1_000) {
      const deltas = Array.from(
        { length: 1_000 },
        (_, n) => insertTodo(`r${(i + n) * 7919 % total}`, i + n + 1),
      );
      unwrapOrThrow(await store.append(appendRequest(deltas)));
    }
    // A copy of the files as they are is what a killed process leaves.
    for (const suffix of ["", "-wal"]) {
      await writeFile(`${directory}/copy.db${suffix}`, await readFile(`${path}${suffix}`));
    }
    const copy = unwrapOrThrow(await openSqliteLogStore({ path: `${directory}/copy.db` }));
    for (const opened of [store, copy]) {
      const snapshot = unwrapOrThrow(await opened.snapshot());
      let rows = 0;
      for await (const chunk of snapshot.rows()) rows += chunk.length;
      await snapshot.close();
      assertEquals(rows, total);
      assertEquals(unwrapOrThrow(await opened.stats()).rows.get("todos"), total);
      await opened.close();
    }
  }));

test("a long trim lets appends through between its steps, and rows stay right over a crash", () =>
  withTempDir(async (directory) => {
    const path = `${directory}/log.db`;
    const store = unwrapOrThrow(await openSqliteLogStore({ path }));
    const count = 35_000;
    for (let i = 0; i < count; i += 5_000) {
      const deltas = Array.from({ length: 5_000 }, (_, n) => insertTodo(`r${i + n}`, i + n + 1));
      unwrapOrThrow(await store.append(appendRequest(deltas)));
    }
    unwrapOrThrow(await store.append(appendRequest([deleteTodo("r0", count + 2)])));
    const done: string[] = [];
    const trimming = store.trim({ through: count + 1 }).then(() => done.push("trim"));
    // Too old to bring the row back to life, while its death is on its way out of the log.
    const late = store.append(appendRequest([insertTodo("r0", count + 1, "bob")]))
      .then(() => done.push("append"));
    await Promise.all([trimming, late]);
    assertEquals(done, ["append", "trim"]);
    await copyFile(path, `${directory}/killed.db`);
    await copyFile(`${path}-wal`, `${directory}/killed.db-wal`);
    await store.close();
    const killed = unwrapOrThrow(await openSqliteLogStore({ path: `${directory}/killed.db` }));
    for (const opened of [killed, unwrapOrThrow(await openSqliteLogStore({ path }))]) {
      assertEquals(unwrapOrThrow(await opened.stats()).rows.get("todos"), count - 1);
      const snapshot = unwrapOrThrow(await opened.snapshot());
      let alive = 0;
      for await (const chunk of snapshot.rows()) {
        alive += chunk.filter(({ state }) => isVisible(state)).length;
      }
      assertEquals(alive, count - 1);
      await snapshot.close();
      await opened.close();
    }
  }));
