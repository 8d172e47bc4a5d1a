import { assert, assertEquals } from "@std/assert";
import { type Clock, type LogStore, unwrapOrThrow } from "@lakesync/core";
import { withTempDir } from "../temp.ts";
import { test } from "../test.ts";
import { passLease, timeOf } from "./clock_cases.ts";
import {
  append,
  appendRequest,
  type Check,
  deleteTodo,
  insertTodo,
  insertTodos,
  type LogStoreSubject,
  look,
  makeDelta,
  readAll,
  readSeqs,
  snapshotRows,
  until,
} from "./fixture.ts";
import { increment, raceForPlace } from "./value_cases.ts";

/** Several instances of one store. */
export function registerInstanceCases(check: Check, subject: LogStoreSubject): void {
  check("gives concurrent appends of two instances seqs without gaps", async (context) => {
    const stores = [context.store, await context.another()];
    assertEquals(stores[1]!.epoch, stores[0]!.epoch);
    const outcomes = await Promise.all(Array.from({ length: 40 }, (_, i) => {
      const deltas = [0, 1, 2].map((n) => insertTodo(`r${i}-${n}`, 10 + n, `client${i}`));
      return append(stores[i % 2]!, appendRequest(deltas, { oneTransaction: true }));
    }));
    const firsts = outcomes.map(({ first }) => first ?? 0).sort((a, b) => a - b);
    assertEquals(firsts, Array.from({ length: 40 }, (_, i) => 1 + 3 * i));
    const [mine, theirs] = await Promise.all(stores.map((store) => readAll(store)));
    assertEquals(mine, theirs);
    assertEquals(mine?.map(({ seq }) => seq), Array.from({ length: 120 }, (_, i) => i + 1));
    for (const store of stores) {
      const head = unwrapOrThrow(await store.head());
      assertEquals(head, { seq: 120, hash: mine!.at(-1)!.hash });
      assertEquals(unwrapOrThrow(await store.stats()).clients, 40);
      assertEquals((await snapshotRows(store)).size, 120);
    }
  });

  check("reads with an instance what another one has appended, at once", async (context) => {
    const stores = [context.store, await context.another()] as const;
    for (let i = 0; i < 10; i++) {
      const [one, two] = i % 2 === 0 ? stores : [stores[1], stores[0]];
      const deltas = [
        insertTodo(`r${i}`, i + 1),
        makeDelta({
          ...insertTodo(`r${i}`, i + 1),
          table: `table${i}`,
        }),
      ];
      const { head } = await append(one, appendRequest(deltas, { keys: () => [`k${i}`] }));
      assertEquals(unwrapOrThrow(await two.head()), head);
      assertEquals(await readSeqs(two, 0, { limit: 9, keys: [`k${i}`] }), [head.seq - 1, head.seq]);
      assertEquals(unwrapOrThrow(await two.hashAt(head.seq)), head.hash);
      unwrapOrThrow(await one.setValue("v", String(i)));
      assertEquals(unwrapOrThrow(await two.getValue("v")), String(i));
    }
  });

  check("shows a plan what another instance has written", async (context) => {
    const { store } = context;
    const other = await context.another();
    const deltas = insertTodos(3);
    await append(store, appendRequest(deltas));
    assertEquals((await append(other, appendRequest(deltas))).first, undefined);
    const update = makeDelta({
      op: "UPDATE",
      table: "todos",
      rowId: "r1",
      clientId: "bob",
      columns: [{ column: "done", value: true }],
      hlc: "50",
    });
    for (const [i, [one, two]] of [[store, other], [other, store]].entries()) {
      await append(one!, appendRequest([makeDelta({ ...update, hlc: String(50 + i) })]));
      const row = await look(
        two!,
        { deltas: [], rows: [update] },
        (view) => view.row("todos", "r1")?.columns.get("done"),
      );
      assertEquals(row, [true, String(50 + i), "bob"]);
    }
    const stats = { head: 5, trimmed: 0, rows: new Map([["todos", 3]]), clients: 2 };
    assertEquals(unwrapOrThrow(await store.stats()), stats);
    assertEquals(unwrapOrThrow(await other.stats()), stats);
  });

  check("lets one of 20 appends of two instances win that all want one place", async (context) => {
    await raceForPlace([context.store, await context.another()]);
  });

  check("lets no append miss what another instance's has set", async (context) => {
    const stores = [context.store, await context.another()];
    await Promise.all(Array.from({ length: 20 }, (_, i) => increment(stores[i % 2]!, i)));
    assertEquals(unwrapOrThrow(await context.store.getValue("count")), "20");
    assertEquals(
      (await readAll(context.store)).map(({ rowId }) => rowId),
      Array.from({ length: 20 }, (_, i) => `count ${i + 1}`),
    );
  });

  check(
    "calls an instance's subscribers when another one has changed something",
    async (context) => {
      const { store } = context;
      const other = await context.another();
      const grown = until(other, async () => unwrapOrThrow(await other.head()).seq === 1);
      await append(store, appendRequest([insertTodo("a", 1)]));
      await grown;
      const set = until(store, async () => unwrapOrThrow(await store.getValue("v")) === "1");
      unwrapOrThrow(await other.setValue("v", "1"));
      await set;
    },
  );

  check("gives a lease to one instance", async (context) => {
    await passLease([context.store, await context.another()], context.time);
  });

  check("has one clock for all instances, which never goes back", async (context) => {
    const { time } = context;
    const stores = [context.store, await context.another()];
    let last = 0;
    for (let i = 0; i < 20; i++) {
      time.now += [700, -1_000, 0, 5_000, -20_000][i % 5]!;
      const given = await timeOf(stores[i % 2]!);
      assert(given >= last, `${given} follows ${last}`);
      last = given;
    }
  });

  check("trims for all instances", async (context) => {
    const { store } = context;
    const other = await context.another();
    await append(other, appendRequest([...insertTodos(4), deleteTodo("r1", 9, "alice:phone")]));
    unwrapOrThrow(await store.trim({ through: 5 }));
    const early = await other.read(2, { limit: 9 });
    assertEquals(early.ok || early.error.code, "CHECKPOINT_REQUIRED");
    assertEquals(unwrapOrThrow(await other.hashAt(2)), undefined);
    assertEquals(unwrapOrThrow(await other.stats()).trimmed, 5);
    const seen = await look(
      other,
      { deltas: [], rows: [{ table: "todos", rowId: "r1" }] },
      (view) => [view.purged, view.row("todos", "r1")],
    );
    assertEquals(seen, [{ hlc: "9", clientId: "alice:phone" }, undefined]);
    assertEquals((await append(other, appendRequest([insertTodo("x", 20)]))).first, 6);
    assertEquals(await readSeqs(store, 5, { limit: 9 }), [6]);
  });

  check("stands still in a snapshot while another instance appends and trims", async (context) => {
    const { store } = context;
    const other = await context.another();
    await append(store, appendRequest(insertTodos(1_200)));
    const snapshot = unwrapOrThrow(await other.snapshot());
    const rows = new Set<string>();
    for await (const chunk of snapshot.rows()) {
      if (rows.size === 0) {
        const gone = insertTodos(1_200).map(({ rowId }, i) => deleteTodo(rowId, 5_000 + i));
        await append(store, appendRequest(gone));
        unwrapOrThrow(await store.trim({ through: 2_400 }));
      }
      for (const { rowId, state } of chunk) {
        assert(state.life?.alive === true);
        rows.add(rowId);
      }
    }
    await snapshot.close();
    assertEquals([rows.size, snapshot.position.seq], [1_200, 1_200]);
    assertEquals((await snapshotRows(other)).size, 0);
  });

  check("goes on with an instance after another one has closed", async (context) => {
    const other = await context.another();
    await append(other, appendRequest([insertTodo("a", 1)]));
    await other.close();
    assertEquals((await append(context.store, appendRequest([insertTodo("b", 2)]))).first, 2);
  });

  test(`LogStore ${subject.name} is made once by instances that open it at the same time`, () =>
    withTempDir(async (directory) => {
      const clock: Clock = { now: () => 1_000_000 };
      const stores: LogStore[] = await Promise.all(
        Array.from({ length: 4 }, () => subject.open({ directory, clock })),
      );
      try {
        assertEquals(new Set(stores.map(({ epoch }) => epoch)).size, 1);
        await Promise.all(
          stores.map((store, i) => append(store, appendRequest([insertTodo(`r${i}`, 1, `c${i}`)]))),
        );
        assertEquals((await readAll(stores[0]!)).length, 4);
      } finally {
        for (const store of stores) await store.close();
      }
    }));
}
