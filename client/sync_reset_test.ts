import { unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { codeOf, foreignDelta, rowsOf, withBench } from "./testdata/bench.ts";

test("a trimmed log leads to a checkpoint; the outbox stays", () =>
  withBench(async (bench) => {
    const a = await bench.client();
    const b = await bench.client();
    unwrapOrThrow(await a.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    unwrapOrThrow(await a.syncOnce());
    unwrapOrThrow(await b.syncOnce());
    unwrapOrThrow(await a.tables.todos.delete("1"));
    unwrapOrThrow(await a.tables.todos.insert({ id: "2", title: "Bread", done: false }));
    unwrapOrThrow(await a.syncOnce());
    bench.gateway.trim(3);
    unwrapOrThrow(await b.tables.todos.insert({ id: "3", title: "Eggs", done: false }));
    const summary = unwrapOrThrow(await b.syncOnce());
    assertEquals([summary.checkpointRows, summary.pushed], [1, 1]);
    assertEquals(await rowsOf(b), [["2", "Bread", 0, null], ["3", "Eggs", 0, null]]);
  }));

for (const how of ["reset", "restored"] as const) {
  test(`accepted deltas go back unchanged to a gateway that was ${how}`, () =>
    withBench(async (bench) => {
      const database = await bench.database();
      const a = await bench.client({ database });
      const b = await bench.client();
      unwrapOrThrow(await a.syncOnce());
      const restore = bench.gateway.backup();
      unwrapOrThrow(await a.tables.todos.insert({ id: "1", title: "Milk", done: false }));
      unwrapOrThrow(await a.tables.todos.update("1", { done: true }));
      unwrapOrThrow(await a.syncOnce());
      unwrapOrThrow(await b.syncOnce());
      const before = bench.gateway.accepted;
      if (how === "reset") bench.gateway.reset();
      else restore();
      assertEquals(bench.gateway.head, 0);
      await a.close();
      const again = await bench.client({ database });
      assertEquals(unwrapOrThrow(await again.syncOnce()).pushed, 2);
      assertEquals(bench.gateway.accepted, before);
      unwrapOrThrow(await b.syncOnce());
      for (const client of [again, b]) {
        assertEquals(await rowsOf(client), [["1", "Milk", 1, null]]);
      }
    }));
}

test("a reset is noticed also where a checkpoint is due for another reason", () =>
  withBench(async (bench) => {
    const a = await bench.client();
    unwrapOrThrow(await a.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    unwrapOrThrow(await a.syncOnce());
    bench.gateway.setRule(() => true);
    bench.gateway.fault = ({ kind }) =>
      kind === "checkpoint" ? { fault: "lose-request" } : undefined;
    assertEquals(codeOf(await a.syncOnce()), "OFFLINE");
    bench.gateway.fault = () => undefined;
    bench.gateway.reset();
    bench.gateway.append([foreignDelta({ rowId: "x", columns: { title: "x", done: false } })]);
    bench.gateway.append([foreignDelta({ rowId: "y", columns: { title: "y", done: false } })]);
    assertEquals(unwrapOrThrow(await a.syncOnce()).pushed, 1);
    assertEquals(bench.gateway.row("todos", "1")?.life?.alive, true);
  }));

test("a log that ends before a push that it answered was restored", () =>
  withBench(async (bench) => {
    const a = await bench.client();
    unwrapOrThrow(await a.syncOnce());
    const restore = bench.gateway.backup();
    unwrapOrThrow(await a.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    let pulls = 0;
    bench.gateway.fault = ({ kind }) =>
      kind === "pull" && ++pulls === 2 ? { fault: "lose-request" } : undefined;
    assertEquals(codeOf(await a.syncOnce()), "OFFLINE");
    bench.gateway.fault = () => undefined;
    restore();
    // The cursor is as good as ever: it is from before the push.
    assertEquals(unwrapOrThrow(await a.syncOnce()).pushed, 1);
    assertEquals(bench.gateway.head, 1);
  }));

test("what a restored gateway accepts stays on top, though its seq is below the base's", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(await client.syncOnce());
    const restore = bench.gateway.backup();
    for (const rowId of ["a", "b", "c"]) {
      bench.gateway.append([foreignDelta({ rowId, columns: { title: rowId, done: false } })]);
    }
    unwrapOrThrow(await client.syncOnce());
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    // It is restored just before the push, and cannot be reached after it.
    let restored = false;
    bench.gateway.fault = ({ kind }) => {
      if (restored) return { fault: "lose-request" };
      if (kind === "push") {
        restore();
        restored = true;
      }
      return undefined;
    };
    assertEquals(codeOf(await client.syncOnce()), "OFFLINE");
    assertEquals(bench.gateway.head, 1);
    assertEquals((await rowsOf(client)).length, 4);
    bench.gateway.fault = () => undefined;
    assertEquals(unwrapOrThrow(await client.syncOnce()).duplicates, 1);
    assertEquals(await rowsOf(client), [["1", "Milk", 0, null]]);
  }));

test("accepted deltas are removed after the retention time", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const first = await bench.client({ database, retentionMs: 1_000 });
    unwrapOrThrow(await first.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    unwrapOrThrow(await first.syncOnce());
    unwrapOrThrow(await first.tables.todos.update("1", { done: true }));
    await first.close();
    await bench.clock.advance(1_000);
    await (await bench.client({ database, retentionMs: 1_000 })).close();
    const count = "SELECT count(*) FROM lakesync_own";
    assertEquals(unwrapOrThrow(await database.query(count)), [{ "count(*)": 2 }]);
    await bench.clock.advance(1);
    const last = await bench.client({ database, retentionMs: 1_000 });
    // The unsent one stays.
    assertEquals(await rowsOf(last, count), [[1]]);
    assertEquals(unwrapOrThrow(await last.pending()), 1);
  }));

test("a page is applied only where the cursor that it was asked with is still held", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const one = await bench.client({ database });
    unwrapOrThrow(await one.syncOnce());
    bench.gateway.append([foreignDelta({ rowId: "1", columns: { title: "Milk", done: false } })]);
    const two = await bench.client({ database });
    // While the first one's page is on its way, the second applies the same page and one more.
    let meanwhile: Promise<unknown> | undefined;
    const pull = bench.gateway.pull.bind(bench.gateway);
    bench.gateway.pull = async (request, options) => {
      const page = await pull(request, options);
      if (meanwhile === undefined) {
        meanwhile = two.syncOnce();
        await meanwhile;
        bench.gateway.append([
          foreignDelta({ op: "DELETE", rowId: "1", hlc: "18446744073709551615" }),
        ]);
        unwrapOrThrow(await two.syncOnce());
      }
      return page;
    };
    unwrapOrThrow(await one.syncOnce());
    assertEquals(await rowsOf(one), []);
  }));
