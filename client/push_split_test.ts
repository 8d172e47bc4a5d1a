import { type Delta, LakeSyncError, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { type Bench, rowsOf, withBench } from "./testdata/bench.ts";

/** The deltas of each push that reached the gateway. */
function pushes(bench: Bench): readonly (readonly Delta[])[] {
  return bench.gateway.requests.flatMap((r) => r.kind === "push" ? [r.request.deltas] : []);
}

test("a push that is too large or malformed as a whole is halved until its culprit is alone", () =>
  withBench(async (bench) => {
    for (const code of ["VALIDATION_ERROR", "FORBIDDEN", "PAYLOAD_TOO_LARGE"] as const) {
      const client = await bench.client();
      for (let i = 0; i < 20; i++) {
        unwrapOrThrow(
          await client.tables.todos.insert({ id: `${code}${i}`, title: `${i}`, done: false }),
        );
      }
      const before = bench.gateway.head;
      bench.gateway.fault = (r) =>
        r.kind === "push" && r.request.deltas.some(({ rowId }) => rowId === `${code}13`)
          ? { fault: "error", error: new LakeSyncError(code, "No") }
          : undefined;
      const summary = unwrapOrThrow(await client.syncOnce());
      assertEquals([summary.pushed, summary.rejected], [19, 1]);
      assertEquals(bench.gateway.head, before + 19);
      const letters = unwrapOrThrow(await client.rejected.list());
      assertEquals(letters.map((letter) => [letter.code, letter.delta.rowId]), [
        [code, `${code}13`],
      ]);
      assertEquals(unwrapOrThrow(await client.tables.todos.get(`${code}13`)), undefined);
    }
  }));

test("halving does not split a transaction", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(await client.tables.todos.insert({ id: "0", title: "0", done: false }));
    unwrapOrThrow(
      await client.transaction(async ({ tables: { todos } }) => {
        for (const id of ["1", "2", "3"]) await todos.insert({ id, title: id, done: false });
      }),
    );
    bench.gateway.fault = (r) =>
      r.kind === "push" && r.request.deltas.some(({ rowId }) => rowId === "2")
        ? { fault: "error", error: new LakeSyncError("FORBIDDEN", "No") }
        : undefined;
    assertEquals(unwrapOrThrow(await client.syncOnce()).rejected, 3);
    assertEquals(await rowsOf(client), [["0", "0", 0, null]]);
    for (const deltas of pushes(bench)) {
      const ids = deltas.map(({ rowId }) => rowId).filter((id) => id !== "0");
      assert(ids.length === 0 || ids.length === 3);
    }
  }));

test("pushes are split by number and by bytes, at transaction bounds", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const rows = Array.from({ length: 4_500 }, (_, i) => ({ title: `${i}`, done: false }));
    unwrapOrThrow(await client.import("todos", rows));
    unwrapOrThrow(
      await client.import(
        "todos",
        Array.from({ length: 12 }, () => ({ title: "x".repeat(1_000_000), done: false })),
      ),
    );
    unwrapOrThrow(
      await client.transaction(async ({ tables: { todos } }) => {
        for (let i = 0; i < 3_000; i++) await todos.insert({ title: "t", done: false });
      }),
    );
    assertEquals(unwrapOrThrow(await client.syncOnce()).pushed, 7_512);
    const sent = pushes(bench);
    const encoder = new TextEncoder();
    for (const deltas of sent) {
      assert(encoder.encode(JSON.stringify({ deltas })).length <= 8 * 1024 * 1024);
    }
    assertEquals(sent.map(({ length }) => length), [2_000, 2_000, 508, 4, 3_000]);
  }));
