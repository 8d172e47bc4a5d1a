import { assertEquals } from "@std/assert";
import { type AppendRequest, type LogStore, unwrapOrThrow } from "@lakesync/core";
import { append, appendRequest, type Check, insertTodo, look, readAll } from "./fixture.ts";

/** An append of one entry that takes a place only while nobody has it. */
export function claim(place: string, holder: string, hlc: number): AppendRequest {
  const entry = appendRequest([insertTodo(`row of ${holder}`, hlc, holder)], {
    values: new Map([[place, holder]]),
  });
  return {
    ...entry,
    values: [place],
    plan: (view) => view.value(place) === undefined ? entry.plan(view) : { entries: [], rows: [] },
  };
}

/** Values, and appends that hang on them. */
export function registerValueCases(check: Check): void {
  check("sets values alone and within an append", async ({ store }) => {
    unwrapOrThrow(await store.setValue("a", "1"));
    await append(
      store,
      appendRequest([insertTodo("r", 1)], {
        values: new Map([["a", "2"], ["b", "3"]]),
      }),
    );
    assertEquals(unwrapOrThrow(await store.getValue("a")), "2");
    assertEquals(unwrapOrThrow(await store.getValue("b")), "3");
    unwrapOrThrow(await store.setValue("a", null));
    assertEquals(unwrapOrThrow(await store.getValue("a")), undefined);
    unwrapOrThrow(await store.setValue("never set", null));
  });

  check("keeps long values and odd keys whole", async ({ store }) => {
    const long = "schema € ".repeat(30_000);
    const values = new Map([["__proto__", ""], ["long", long], ["a:b/c d", "\u2028"]]);
    await append(store, appendRequest([], { values }));
    for (const [key, value] of values) {
      assertEquals(unwrapOrThrow(await store.getValue(key)), value);
    }
    unwrapOrThrow(await store.setValue("long", "short"));
    assertEquals(unwrapOrThrow(await store.getValue("long")), "short");
    unwrapOrThrow(await store.setValue("long", long));
    assertEquals(unwrapOrThrow(await store.getValue("long")), long);
    assertEquals(
      await look(store, { deltas: [], rows: [], values: ["long"] }, (view) => view.value("long")),
      long,
    );
  });

  check(
    "appends values without entries: no seq is taken, nobody counts as a pusher",
    async ({ store }) => {
      const outcome = await append(store, appendRequest([], { values: new Map([["a", "1"]]) }));
      assertEquals(outcome, { head: { seq: 0, hash: "0" }, first: undefined });
      assertEquals(unwrapOrThrow(await store.getValue("a")), "1");
      assertEquals(unwrapOrThrow(await store.stats()).clients, 0);
    },
  );

  check("shows a plan the values as they are", async ({ store }) => {
    const seen = () =>
      look(store, { deltas: [], rows: [], values: ["a", "b"] }, (view) => [
        view.value("a"),
        view.value("b"),
      ]);
    assertEquals(await seen(), [undefined, undefined]);
    unwrapOrThrow(await store.setValue("a", "1"));
    await append(store, appendRequest([], { values: new Map([["b", "2"]]) }));
    assertEquals(await seen(), ["1", "2"]);
    await append(store, appendRequest([], { values: new Map([["a", null]]) }));
    assertEquals(await seen(), [undefined, "2"]);
  });

  check("lets one of 20 concurrent appends win that all want one place", async ({ store }) => {
    await raceForPlace([store]);
  });

  check("lets none of 20 concurrent appends miss what another one set", async ({ store }) => {
    await Promise.all(Array.from({ length: 20 }, (_, i) => increment(store, i)));
    assertEquals(unwrapOrThrow(await store.getValue("count")), "20");
    const counts = (await readAll(store)).map(({ rowId }) => rowId);
    assertEquals(counts, Array.from({ length: 20 }, (_, i) => `count ${i + 1}`));
  });
}

/** Twenty appends at once, by turns through these stores, that all want one place: one gets it. */
export async function raceForPlace(stores: readonly LogStore[]): Promise<void> {
  const outcomes = await Promise.all(
    Array.from(
      { length: 20 },
      (_, i) => append(stores[i % stores.length]!, claim("place", `c${i}`, i + 1)),
    ),
  );
  const winners = outcomes.flatMap(({ first }, i) => first === undefined ? [] : [`c${i}`]);
  assertEquals(winners.length, 1);
  for (const store of stores) {
    assertEquals(unwrapOrThrow(await store.getValue("place")), winners[0]);
    assertEquals((await readAll(store)).map(({ clientId }) => clientId), winners);
  }
}

/** Appends an entry that is named by how many there are then. */
export async function increment(store: LogStore, i: number): Promise<void> {
  await append(store, {
    clientId: `c${i}`,
    deltas: [],
    rows: Array.from({ length: 41 }, (_, n) => ({ table: "todos", rowId: `count ${n}` })),
    values: ["count"],
    plan(view) {
      const count = Number(view.value("count") ?? 0) + 1;
      const values = new Map([["count", String(count)]]);
      return appendRequest([insertTodo(`count ${count}`, i + 1, `c${i}`)], { values }).plan(view);
    },
  });
}
