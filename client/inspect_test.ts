import { packHlc, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { foreignDelta, withBench } from "./testdata/bench.ts";
import { inspect } from "./devtools/mod.ts";

test("inspect() tells what the gateway told of a row, and what of it is the device's own", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const inspection = inspect(client);
    bench.gateway.append([foreignDelta({ rowId: "r", columns: { title: "theirs", done: false } })]);
    unwrapOrThrow(await client.syncOnce());
    unwrapOrThrow(await client.tables.todos.update("r", { title: "mine" }));
    unwrapOrThrow(await client.tables.todos.insert({ id: "s", title: "new", done: true }));
    const [r, s, t] = unwrapOrThrow(await inspection.rows("todos", { ids: ["r", "s", "t"] }));
    assertEquals(r!.base?.columns.get("title")?.[0], "theirs");
    assertEquals(r!.own.map(({ state, delta }) => [state, delta.op]), [["unsent", "UPDATE"]]);
    assertEquals([s!.base, s!.own.length], [undefined, 1]);
    assertEquals([t!.base, t!.own, t!.rejected], [undefined, [], []]);
  }));

test("inspect() follows a delta from unsent to settled, and a rejected one into the letters", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const inspection = inspect(client);
    const todo = { title: "a", done: false };
    unwrapOrThrow(await client.tables.todos.insert({ id: "kept", ...todo }));
    assertEquals(unwrapOrThrow(await inspection.own({ pending: true }))[0]!.tries, 0);
    unwrapOrThrow(await client.syncOnce());
    bench.gateway.reject = () => "FORBIDDEN_WRITE";
    unwrapOrThrow(await client.tables.todos.update("kept", { title: "b" }));
    unwrapOrThrow(await client.syncOnce());
    assertEquals(unwrapOrThrow(await inspection.own({ pending: true })), []);
    assertEquals(unwrapOrThrow(await inspection.own()).map(({ state }) => state), ["settled"]);
    const ids = ["kept"];
    const [plain] = unwrapOrThrow(await inspection.rows("todos", { ids }));
    assertEquals([plain!.own, plain!.rejected], [[], []]);
    const [whole] = unwrapOrThrow(await inspection.rows("todos", { ids, history: true }));
    assertEquals(whole!.own.map(({ state, tries }) => [state, tries]), [["settled", 1]]);
    assertEquals(whole!.rejected, unwrapOrThrow(await client.rejected.list()));
  }));

test("inspect() gives own deltas newest first, and those that wait oldest first", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const inspection = inspect(client);
    for (const id of ["a", "b", "c"]) {
      unwrapOrThrow(await client.tables.todos.insert({ id, title: id, done: false }));
    }
    const ids = async (options: { pending?: boolean; limit?: number }) =>
      unwrapOrThrow(await inspection.own(options)).map(({ delta }) => delta.rowId);
    assertEquals(await ids({ limit: 2 }), ["c", "b"]);
    assertEquals(await ids({ pending: true, limit: 2 }), ["a", "b"]);
  }));

test("inspect() tells how sync stands", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const inspection = inspect(client);
    const before = unwrapOrThrow(await inspection.sync());
    assertEquals([before.cursor, before.seq, before.lastOrd, before.settled], ["", 0, 0, 0]);
    unwrapOrThrow(await client.tables.todos.insert({ title: "a", done: false }));
    unwrapOrThrow(await client.syncOnce());
    const after = unwrapOrThrow(await inspection.sync());
    assertEquals([after.seq, after.lastOrd, after.settled, after.checkpointDue], [1, 1, 1, false]);
    assertEquals(after.greatest, packHlc({ wallMs: bench.clock.now(), counter: 0 }));
    assert(after.databaseBytes > 10_000 && after.cursor !== "");
  }));

test("inspect() tells which rows change, and stops on demand and with the client", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const seen: unknown[] = [];
    let closed = false;
    const stop = inspect(client).watch((rows) => seen.push([...rows.get("todos") ?? []]));
    inspect(client).watch(() => {}, () => closed = true);
    unwrapOrThrow(await client.tables.todos.insert({ id: "a", title: "a", done: false }));
    assertEquals(seen, [["a"]]);
    stop();
    unwrapOrThrow(await client.tables.todos.delete("a"));
    assertEquals(seen.length, 1);
    await client.close();
    assert(closed);
  }));

test("inspect() takes no stranger, and no table that is not declared", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    assertThrows(() => inspect({ ...client }), TypeError);
    const refused = await inspect(client).rows("toString", { ids: [] }).catch(String);
    assertEquals(refused, 'TypeError: Cannot inspect rows: there is no table "toString"');
  }));
