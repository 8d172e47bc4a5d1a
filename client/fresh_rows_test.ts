import { type Delta, type JsonValue, packHlc, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Client } from "./mod.ts";
import { type Bench, foreignDelta, rowsOf, type Todos, withBench } from "./testdata/bench.ts";

const START_MS = Date.UTC(2025, 0, 1);

/** A change of one of few rows: inserts and edits of two clients, in any order of stamps. */
const change: fc.Arbitrary<Delta> = fc.record({
  op: fc.constantFrom("INSERT" as const, "INSERT" as const, "UPDATE" as const, "DELETE" as const),
  rowId: fc.constantFrom("a", "b", "c", "d\u0000", "é"),
  clientId: fc.constantFrom("x", "y"),
  ms: fc.integer({ min: 0, max: 20 }),
  counter: fc.integer({ min: 0, max: 1_000 }),
  title: fc.constantFrom("", "t", 'q"\u2028'),
  rank: fc.option(fc.integer({ min: 0, max: 3 })),
}).map(({ op, rowId, clientId, ms, counter, title, rank }) => {
  const set: { [name: string]: JsonValue } = { title, ...(rank !== null && { rank }) };
  const columns = op === "DELETE" ? {} : op === "INSERT" ? { ...set, done: true } : set;
  return foreignDelta({
    op,
    rowId,
    clientId,
    hlc: packHlc({ wallMs: START_MS + ms, counter }),
    columns,
  });
});

/** What the base and the app's table have. */
async function contents(client: Client<Todos>): Promise<unknown> {
  const base = await rowsOf(
    client,
    "SELECT CAST(id AS BLOB) AS id, state FROM lakesync_base_todos ORDER BY id",
  );
  const shown = "SELECT CAST(id AS BLOB) AS id, title, done, rank FROM todos ORDER BY id";
  // The order of columns in the base's text is that of coming.
  const sorted = base.map((row) => {
    const [id, state] = row as [Uint8Array, string];
    const [hlc, clientId, columns] = JSON.parse(state) as [string, string, object];
    return [id, hlc, clientId, Object.entries(columns).sort(([a], [b]) => (a < b ? -1 : 1))];
  });
  return { base: sorted, shown: await rowsOf(client, shown) };
}

async function device(bench: Bench, own: boolean): Promise<Client<Todos>> {
  const client = await bench.client();
  unwrapOrThrow(await client.syncOnce());
  if (own) {
    unwrapOrThrow(await client.tables.todos.insert({ id: "a", title: "Mine", done: false }));
  }
  return client;
}

/** Pulls, and pushes nothing. */
async function pull(bench: Bench, client: Client<Todos>): Promise<void> {
  bench.gateway.fault = ({ kind }) => kind === "push" ? { fault: "lose-request" } : undefined;
  await client.syncOnce();
}

test("rows that a page inserts come out as if each of its changes had come by itself, with own changes on top or not", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(change, { maxLength: 12, selector: ({ deltaId }) => deltaId }),
      fc.nat({ max: 12 }),
      fc.boolean(),
      (changes, first, own) =>
        withBench(async (bench) => {
          const whole = await device(bench, own);
          const single = await device(bench, own);
          bench.clock.set(START_MS + 1_000);
          bench.gateway.append(changes.slice(0, first));
          for (const client of [whole, single]) await pull(bench, client);
          for (const delta of changes.slice(first)) {
            bench.gateway.append([delta]);
            await pull(bench, single);
          }
          await pull(bench, whole);
          assertEquals(await contents(whole), await contents(single));
        }),
    ),
    { seed: 42, numRuns: 150 },
  );
});

test("own inserts that come back are in the base as another device has them", () =>
  withBench(async (bench) => {
    const a = await bench.client();
    const b = await bench.client();
    for (const client of [a, b]) unwrapOrThrow(await client.syncOnce());
    const rows = Array.from({ length: 100 }, (_, i) => ({
      id: `r${i}`,
      title: i % 2 === 0 ? `Milk "${i}"` : "é\n",
      done: i % 3 === 0,
      ...(i % 5 === 0 && { rank: i / 4 }),
    }));
    unwrapOrThrow(await a.import("todos", rows));
    unwrapOrThrow(await a.tables.todos.update("r7", { title: "Changed" }));
    for (const client of [a, b, a]) unwrapOrThrow(await client.syncOnce());
    const [ofA, ofB] = [await contents(a), await contents(b)];
    assertEquals(ofA, ofB);
  }));
