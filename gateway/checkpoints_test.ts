// Checkpoints that are made once for many, and what tells a caller that it needs none.
import { type LogStore, type ObjectStore, unwrapOrThrow } from "@lakesync/core";
import {
  insertTodo,
  ManualClock,
  memoryObjectStore,
  Prng,
  test,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import type { Gateway } from "./gateway.ts";
import { memoryLogStore } from "./store_memory.ts";
import { openSqliteLogStore } from "./store_sqlite.ts";
import { ANYONE, openGateway, pull, push, storeWith, updateTodo } from "./testdata/fixture.ts";

/** A gateway that keeps its checkpoints; how many scans of its rows it made. */
class Fixture {
  readonly clock: ManualClock = new ManualClock();
  readonly objects: ObjectStore = memoryObjectStore({ clock: this.clock });
  readonly store: LogStore = memoryLogStore({ clock: this.clock });
  gateway!: Gateway;
  scans = 0;

  static async open(
    limits: { checkpointLag?: number; retentionMs?: number } = {},
  ): Promise<Fixture> {
    const fixture = new Fixture();
    const { store } = fixture;
    fixture.gateway = await openGateway({
      store: storeWith(store, {
        snapshot() {
          fixture.scans++;
          return store.snapshot();
        },
      }),
      checkpointCache: { store: fixture.objects },
      scheduler: fixture.clock,
      random: new Prng(1),
      limits,
    });
    return fixture;
  }

  async take(params: { readonly [name: string]: string } = {}): Promise<
    { seq: number; cursor: string; tables: string[]; rows: string[]; tag: string }
  > {
    const query = new URLSearchParams({ clientId: "bob:laptop", ...params });
    const { lines, tag } = unwrapOrThrow(await this.gateway.checkpoint(query, { caller: ANYONE }));
    let text = "";
    for await (const part of lines) {
      assert(part.endsWith("\n"));
      text += part;
    }
    const [head, ...rows] = text.trimEnd().split("\n").map((line) => JSON.parse(line));
    const { end } = rows.pop();
    assertEquals(end.rows, rows.length);
    return { ...head.checkpoint, rows: rows.map(({ rowId }) => rowId).sort(), tag };
  }

  async has(tag: string, params: { readonly [name: string]: string } = {}): Promise<boolean> {
    const query = new URLSearchParams({ clientId: "bob:laptop", ...params });
    return unwrapOrThrow(await this.gateway.hasCheckpoint(query, { caller: ANYONE, tag }));
  }
}

test("a hundred clients that come at the same seq cost one scan of the rows", async () => {
  const f = await Fixture.open();
  await push(f.gateway, [insertTodo("a", 1), insertTodo("b", 2)]);
  const taken = await Promise.all(
    Array.from({ length: 100 }, (_, i) => f.take({ clientId: `client${i}` })),
  );
  for (const { seq, rows } of taken) assertEquals([seq, rows], [2, ["a", "b"]]);
  assertEquals(f.scans, 1);
});

test("a checkpoint shows every push that was answered before it was asked for", async () => {
  const f = await Fixture.open();
  for (let i = 1; i <= 5; i++) {
    await push(f.gateway, [insertTodo(`row${i}`, i)]);
    const taken = await f.take();
    assertEquals([taken.seq, taken.rows.length], [i, i]);
  }
  assertEquals(f.scans, 5);
});

test("who says what it has seen may get an older one, from whose cursor pulls go on", async () => {
  const f = await Fixture.open({ checkpointLag: 3 });
  await push(f.gateway, [insertTodo("a", 1)]);
  await f.take();
  await push(f.gateway, [insertTodo("b", 2), insertTodo("c", 3)]);
  const old = await f.take({ atLeast: "0" });
  assertEquals([old.seq, old.rows, f.scans], [1, ["a"], 1]);
  const page = await pull(f.gateway, { cursor: old.cursor });
  assertEquals([page.deltas.length, page.seq], [2, 3]);
  assertEquals(
    (await f.take({ atLeast: "2" })).seq,
    3,
    "one that it has seen more than is no good",
  );
  assertEquals(f.scans, 2);
  await push(f.gateway, [4, 5, 6, 7].map((hlc) => updateTodo("a", hlc, { title: `${hlc}` })));
  assertEquals((await f.take({ atLeast: "0" })).seq, 7, "four entries are too many");
  assertEquals((await f.take({ atLeast: "99" })).seq, 7, "of another store's log, say");
});

test("one that the log does not reach back to any more is not given again", async () => {
  const f = await Fixture.open({ retentionMs: 1000 });
  await push(f.gateway, [insertTodo("a", 1)]);
  const { tag } = await f.take();
  await push(f.gateway, [insertTodo("b", 2)]);
  assertEquals(await f.has(tag, { atLeast: "1" }), true);
  await f.clock.advance(1001);
  assertEquals(unwrapOrThrow(await f.gateway.trim()), 2);
  assertEquals(await f.has(tag, { atLeast: "1" }), false);
  assertEquals((await f.take({ atLeast: "0" })).seq, 2);
});

test("callers that ask for other tables or state another schema get one of their own", async () => {
  const f = await Fixture.open();
  await push(f.gateway, [insertTodo("a", 1)]);
  const all = await f.take();
  const some = await f.take({ tables: "__proto__" });
  const stated = await f.take({ schemaVersion: "1" });
  assertEquals([all.rows, some.rows, stated.rows], [["a"], [], ["a"]]);
  assertEquals(f.scans, 3);
  assertEquals(new Set([all.tag, some.tag, stated.tag]).size, 3);
  for (const [tag, params] of [[all.tag, {}], [some.tag, { tables: "__proto__" }]] as const) {
    assertEquals(await f.has(tag, params), true);
  }
  assertEquals(await f.has(all.tag, { tables: "__proto__" }), false);
});

test("a table that is added is in the next checkpoint, though no entry was", async () => {
  const f = await Fixture.open();
  const before = await f.take();
  const tables = [...f.gateway.tables, { table: "more", version: 1, columns: [] }];
  unwrapOrThrow(await f.gateway.putSchema({ tables }));
  assertEquals(await f.has(before.tag), false);
  assertEquals((await f.take()).tables, ["todos", "__proto__", "more"]);
});

test("a tag is good until the log has grown, and no text from outside does harm", async () => {
  const f = await Fixture.open();
  await push(f.gateway, [insertTodo("a", 1)]);
  const { tag } = await f.take();
  const other = await Fixture.open();
  await push(other.gateway, [insertTodo("a", 1)]);
  assertEquals(await f.has(tag), true);
  assertEquals(await f.has((await other.take()).tag), false, "of another store");
  for (const text of ["", "-", tag.slice(1), `${tag}x`, tag.split("-").at(-1)!, "*", "\0"]) {
    assertEquals(await f.has(text), false, text);
  }
  await push(f.gateway, [insertTodo("b", 2)]);
  assertEquals(await f.has(tag), false);
  assertEquals(f.scans, 1);
});

test("where checkpoints cannot be kept they are made anew", async () => {
  const f = await Fixture.open();
  await push(f.gateway, [insertTodo("a", 1)]);
  const gateway = await openGateway({ store: f.store });
  const query = new URLSearchParams({ clientId: "bob" });
  const { lines, gzip, tag } = unwrapOrThrow(await gateway.checkpoint(query, { caller: ANYONE }));
  assertEquals(gzip, undefined);
  let text = "";
  for await (const part of lines) text += part;
  assertEquals(text.split("\n").length, 4);
  assertEquals(await f.has(tag), true);
});

test("a store that is closed in mid-checkpoint ends it with a code", async () => {
  await withTempDir(async (directory) => {
    const path = join(directory, "log.db");
    const gateway = await openGateway({ store: unwrapOrThrow(await openSqliteLogStore({ path })) });
    await push(gateway, Array.from({ length: 1200 }, (_, i) => insertTodo(`row${i}`, i + 1)));
    await gateway.close();
    const store = unwrapOrThrow(await openSqliteLogStore({ path }));
    const snapshot = unwrapOrThrow(await store.snapshot());
    const rows = snapshot.rows()[Symbol.asyncIterator]();
    await rows.next();
    await store.close();
    const failed = await assertRejects(async () => {
      while ((await rows.next()).done !== true);
    }) as { code?: string };
    assertEquals(failed.code, "CLOSED");
  });
});
