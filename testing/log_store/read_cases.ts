import { assert, assertEquals } from "@std/assert";
import { type ReadLogOptions, unwrapOrThrow } from "@lakesync/core";
import {
  append,
  appendRequest,
  type Check,
  deleteTodo,
  insertTodo,
  insertTodos,
  makeDelta,
  readSeqs,
  snapshotRows,
} from "./fixture.ts";

/** Reads and snapshots. */
export function registerReadCases(check: Check): void {
  check("reads by limit, by size and up to a seq", async ({ store }) => {
    await append(
      store,
      appendRequest(insertTodos(10)),
    );
    const seqs = (after: number, options: ReadLogOptions) => readSeqs(store, after, options);
    assertEquals(await seqs(0, { limit: 3 }), [1, 2, 3]);
    assertEquals(await seqs(8, { limit: 5 }), [9, 10]);
    assertEquals(await seqs(2, { limit: 5, through: 4 }), [3, 4]);
    assertEquals(await seqs(0, { limit: 5, maxChars: 1 }), [1]);
    assertEquals(await seqs(10, { limit: 5 }), []);
  });

  check("stands still in a snapshot while appends go on", async ({ store }) => {
    await append(
      store,
      appendRequest(insertTodos(1200)),
    );
    const snapshot = unwrapOrThrow(await store.snapshot());
    assertEquals(snapshot.position, unwrapOrThrow(await store.head()));
    const rows = new Set<string>();
    let appended = false;
    for await (const chunk of snapshot.rows()) {
      if (!appended) {
        appended = true;
        const later = Array.from({ length: 600 }, (_, i) => insertTodo(`later${i}`, 5_000 + i));
        await append(
          store,
          appendRequest([
            ...later,
            deleteTodo("r1199", 9000),
          ]),
        );
      }
      for (const { rowId, state } of chunk) {
        assert(state.life?.alive === true);
        rows.add(rowId);
      }
    }
    await snapshot.close();
    assertEquals(rows.size, 1200);
    assertEquals((await snapshotRows(store)).size, 1800);
  });

  check("snapshots only the tables asked for", async ({ store }) => {
    await append(
      store,
      appendRequest([
        insertTodo("a", 1),
        makeDelta({
          op: "INSERT",
          table: "notes",
          rowId: "a",
          clientId: "c",
          columns: [],
          hlc: "2",
        }),
      ]),
    );
    assertEquals([...(await snapshotRows(store, ["notes"])).keys()], ["notes/a"]);
  });

  check("counts visible rows and pushers", async ({ store }) => {
    await append(store, appendRequest([insertTodo("a", 1), insertTodo("b", 2)]));
    await append(
      store,
      appendRequest([
        deleteTodo("a", 3),
      ]),
    );
    const stats = unwrapOrThrow(await store.stats());
    assertEquals(stats, { head: 3, trimmed: 0, rows: new Map([["todos", 1]]), clients: 2 });
  });
}
