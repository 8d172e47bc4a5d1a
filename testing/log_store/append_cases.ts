import { assertEquals } from "@std/assert";
import { emptyRow, mergeDelta, unwrapOrThrow } from "@lakesync/core";
import {
  append,
  appendRequest,
  type Check,
  insertTodo,
  makeDelta,
  readAll,
  snapshotRows,
} from "./fixture.ts";

/** Appends: places, plans, duplicates, effects. */
export function registerAppendCases(check: Check): void {
  check("gives seqs 1, 2, 3 … and a hash that depends on each entry", async ({ store }) => {
    assertEquals(unwrapOrThrow(await store.head()), { seq: 0, hash: "0" });
    const deltas = [insertTodo("a", 1), insertTodo("b", 2), insertTodo("c", 3)];
    const outcome = await append(store, appendRequest(deltas));
    assertEquals(outcome.first, 1);
    assertEquals(outcome.head, unwrapOrThrow(await store.head()));
    const entries = await readAll(store);
    assertEquals(entries.map(({ seq }) => seq), [1, 2, 3]);
    assertEquals(entries.map(({ json }) => JSON.parse(json)), deltas);
    assertEquals(new Set(entries.map(({ hash }) => hash)).size, 3);
    for (const { seq, hash } of entries) {
      assertEquals(unwrapOrThrow(await store.hashAt(seq)), hash);
    }
    assertEquals(unwrapOrThrow(await store.hashAt(0)), "0");
    assertEquals(unwrapOrThrow(await store.hashAt(4)), undefined);
  });

  check("gives each of 50 concurrent appends a stretch of its own", async ({ store }) => {
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        const deltas = [0, 1, 2].map((n) => insertTodo(`r${i}-${n}`, 10 + n, `client${i}`));
        return append(store, appendRequest(deltas, { oneTransaction: true }));
      }),
    );
    const firsts = outcomes.map(({ first }) => first ?? 0).sort((a, b) => a - b);
    assertEquals(firsts, Array.from({ length: 50 }, (_, i) => 1 + 3 * i));
    const entries = await readAll(store);
    for (let i = 0; i < entries.length; i += 3) {
      const clients = entries.slice(i, i + 3).map(({ clientId }) => clientId);
      assertEquals(new Set(clients).size, 1, "a transaction is contiguous");
      assertEquals(entries.slice(i, i + 3).map(({ txLast }) => txLast), [i + 3, i + 3, i + 3]);
    }
  });

  check("lets a plan see earlier appends of the same commit", async ({ store }) => {
    const delta = insertTodo("a", 1);
    const [one, two] = await Promise.all([
      append(store, appendRequest([delta])),
      append(store, appendRequest([delta])),
    ]);
    assertEquals([one.first, two.first], [1, undefined]);
    assertEquals(unwrapOrThrow(await store.head()).seq, 1);
  });

  check(
    "knows a duplicate by stamp and id, and tells deltas of one stamp apart",
    async ({ store }) => {
      const delta = insertTodo("a", 7);
      const twin = insertTodo("b", 7);
      await append(store, appendRequest([delta]));
      let seen: (number | undefined)[] = [];
      await append(store, {
        clientId: "alice:phone",
        deltas: [delta, twin],
        rows: [],
        plan(view) {
          seen = [view.duplicate(delta), view.duplicate(twin)];
          return { entries: [], rows: [] };
        },
      });
      assertEquals(seen, [1, undefined]);
    },
  );

  check("keeps rows merged and effects as they were appended", async ({ store }) => {
    const insert = insertTodo("a", 10);
    const update = makeDelta({
      op: "UPDATE",
      table: "todos",
      rowId: "a",
      clientId: "bob",
      columns: [{ column: "done", value: true }, { column: "title", value: "Late" }],
      hlc: "20",
    });
    const lost = makeDelta({ ...update, hlc: "15", columns: [{ column: "done", value: false }] });
    const gone = makeDelta({ ...update, op: "DELETE", hlc: "30", columns: [] });
    for (const delta of [insert, update, lost, gone]) {
      await append(store, appendRequest([delta]));
    }
    const again = insertTodo("a", 40);
    await append(store, appendRequest([again]));
    const effects = (await readAll(store)).map(({ effect }) => effect);
    assertEquals(effects.map(({ before, after }) => `${before}-${after}`), [
      "none-alive",
      "alive-alive",
      "alive-alive",
      "alive-dead",
      "dead-alive",
    ]);
    assertEquals(effects.map(({ columns }) => columns), [undefined, undefined, [], [], undefined]);
    assertEquals(effects.map(({ life }) => life), [true, false, false, true, true]);
    const expected = emptyRow();
    for (const delta of [insert, update, lost, gone, again]) mergeDelta(expected, delta);
    assertEquals(effects[4]?.state, expected);
    assertEquals((await snapshotRows(store)).get("todos/a"), expected);
  });

  check(
    "keeps tables and columns called __proto__ apart from everything else",
    async ({ store }) => {
      const delta = makeDelta({
        op: "INSERT",
        table: "__proto__",
        rowId: "constructor",
        clientId: "toString",
        columns: [{ column: "__proto__", value: { __proto__: 1 } }],
        hlc: "1",
      });
      await append(store, appendRequest([delta]));
      const row = (await snapshotRows(store)).get("__proto__/constructor");
      assertEquals([...(row?.columns.keys() ?? [])], ["__proto__"]);
    },
  );

  check(
    "keeps keys apart that differ behind a NUL, and gives them back whole",
    async ({ store }) => {
      const keys = ["a\0b", "a\0c", "a\x01", "a\x01\x02", "\0"];
      await append(store, appendRequest(keys.map((key, i) => insertTodo(key, i + 1, `c${key}`))));
      assertEquals(
        (await readAll(store)).map(({ rowId, clientId }) => [rowId, clientId]),
        keys.map((key) => [key, `c${key}`]),
      );
      assertEquals(
        [...(await snapshotRows(store)).keys()].sort(),
        keys.map((key) => `todos/${key}`).sort(),
      );
      assertEquals(
        (await append(store, appendRequest([insertTodo("a\0b", 1, "ca\0b")]))).first,
        undefined,
      );
    },
  );

  check("goes on with others when a plan throws", async ({ store }) => {
    const [bad, good] = await Promise.all([
      store.append({
        clientId: "x",
        deltas: [],
        rows: [],
        plan() {
          throw new TypeError("a fault in the plan");
        },
      }),
      store.append(appendRequest([insertTodo("a", 1)])),
    ]);
    assertEquals([bad.ok, good.ok], [false, true]);
    assertEquals(unwrapOrThrow(await store.head()).seq, 1);
  });

  check("answers CLOSED after close()", async ({ store }) => {
    await store.close();
    await store.close();
    const head = await store.head();
    const appended = await store.append(appendRequest([insertTodo("a", 1)]));
    assertEquals([head.ok || head.error.code, appended.ok || appended.error.code], [
      "CLOSED",
      "CLOSED",
    ]);
  });
}
