import { packHlc, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import type { Client } from "../mod.ts";
import { type Bench, foreignDelta, type Todos, withBench } from "../testdata/bench.ts";
import { inspect } from "./mod.ts";
import { Received } from "./_received.ts";

const HOUR_MS = 3_600_000;

/** A device that has rows a, b and c of another one, and follows what comes. */
async function follow(
  bench: Bench,
): Promise<{ client: Client<Todos>; received: Received; news: () => Promise<string[]> }> {
  const client = await bench.client();
  for (const rowId of ["a", "b", "c"]) {
    const columns = { title: rowId, done: false };
    bench.gateway.append([foreignDelta({ rowId, columns, hlc: hlcAt(bench, -2 * HOUR_MS) })]);
  }
  unwrapOrThrow(await client.syncOnce());
  const inspection = inspect(client);
  const received = new Received(inspection, client.clientId);
  inspection.watch((changed) => received.note(changed, bench.clock.now()));
  await received.begin();
  let told = 0;
  const news = async (): Promise<string[]> => {
    await received.catchUp();
    const fresh = received.entries.items.slice(told);
    told = received.entries.items.length;
    return fresh.map(({ kind, rowId, began, columns, stamp }) =>
      [rowId, kind, began ? "began" : "", ...columns.map(({ column }) => column), stamp?.clientId]
        .filter(Boolean).join(" ")
    );
  };
  return { client, received, news };
}

function hlcAt(bench: Bench, afterMs: number): string {
  return packHlc({ wallMs: bench.clock.now() + afterMs, counter: 0 });
}

test("what comes is noticed with its columns and its author, the device's own changes are not", () =>
  withBench(async (bench) => {
    const { client, news } = await follow(bench);
    unwrapOrThrow(await client.tables.todos.update("b", { title: "mine" }));
    assertEquals(await news(), []);
    bench.gateway.append([
      foreignDelta({ op: "UPDATE", rowId: "a", columns: { done: true }, hlc: hlcAt(bench, 1) }),
      foreignDelta({ rowId: "d", columns: { title: "d", done: true }, hlc: hlcAt(bench, 2) }),
    ]);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await news(), ["a set done other", "d set began title done other"]);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await news(), []);
  }));

test("what was made offline long ago is noticed when it comes", () =>
  withBench(async (bench) => {
    const { client, news } = await follow(bench);
    const hlc = hlcAt(bench, -HOUR_MS);
    bench.gateway.append([
      foreignDelta({ op: "UPDATE", rowId: "a", columns: { rank: 1 }, hlc, clientId: "late" }),
    ]);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await news(), ["a set rank late"]);
  }));

test("a row that others delete is gone; one that the device deletes itself is not news", () =>
  withBench(async (bench) => {
    const { client, news } = await follow(bench);
    unwrapOrThrow(await client.tables.todos.delete("b"));
    bench.gateway.append([
      foreignDelta({ op: "DELETE", rowId: "a", hlc: hlcAt(bench, 1) }),
    ]);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await news(), ["a gone"]);
  }));

test("a rejected change that is undone is not news", () =>
  withBench(async (bench) => {
    const { client, received, news } = await follow(bench);
    client.on("rejected", (letters) => {
      for (const { delta } of letters) received.undone(delta.table, delta.rowId);
    });
    bench.gateway.reject = () => "FORBIDDEN_WRITE";
    unwrapOrThrow(await client.tables.todos.update("c", { title: "no" }));
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await news(), []);
  }));

test("of very many changes the newest are looked at, and a checkpoint is one line", () =>
  withBench(async (bench) => {
    const { client, received, news } = await follow(bench);
    bench.gateway.append(
      Array.from(
        { length: 900 },
        (_, i) =>
          foreignDelta({ rowId: `r${i}`, columns: { title: "t" }, hlc: hlcAt(bench, 1 + i) }),
      ),
    );
    unwrapOrThrow(await client.syncOnce());
    assertEquals((await news()).length, 500);
    received.note(new Map([["todos", undefined]]), bench.clock.now());
    received.note(new Map([["todos", undefined]]), bench.clock.now() + 1);
    assertEquals(await news(), ["many"]);
  }));
