import { assertEquals } from "@std/assert";
import { unwrapOrThrow } from "@lakesync/core";
import {
  append,
  appendRequest,
  type Check,
  deleteTodo,
  insertTodo,
  readAll,
  snapshotRows,
} from "./fixture.ts";

/** Trims, and what they leave. */
export function registerTrimCases(check: Check): void {
  check("trims whole transactions and says so afterwards", async ({ store }) => {
    await append(store, appendRequest([insertTodo("a", 1)]));
    await append(
      store,
      appendRequest([insertTodo("b", 2), insertTodo("c", 3)], { oneTransaction: true }),
    );
    await append(store, appendRequest([insertTodo("d", 4)]));
    const edge = unwrapOrThrow(await store.hashAt(1));
    unwrapOrThrow(await store.trim({ through: 2 }));
    assertEquals(unwrapOrThrow(await store.stats()).trimmed, 1);
    assertEquals(unwrapOrThrow(await store.hashAt(1)), edge);
    assertEquals(unwrapOrThrow(await store.hashAt(0)), undefined);
    assertEquals((await readAll(store, 1)).map(({ seq }) => seq), [2, 3, 4]);
    const early = await store.read(0, { limit: 1 });
    assertEquals(early.ok ? undefined : early.error.code, "CHECKPOINT_REQUIRED");
    assertEquals((await snapshotRows(store)).size, 4, "rows stay");
    unwrapOrThrow(await store.trim({ through: 99 }));
    assertEquals(unwrapOrThrow(await store.head()).seq, 4);
    assertEquals((await append(store, appendRequest([insertTodo("e", 5)]))).first, 5);
  });

  check("purges what is gone behind the trim and keeps the greatest stamp", async ({ store }) => {
    const at = async (): Promise<unknown> => {
      let purged: unknown;
      await append(store, {
        clientId: "x",
        deltas: [],
        rows: [{ table: "todos", rowId: "a" }],
        plan(view) {
          purged = [view.purged, view.row("todos", "a")];
          return { entries: [], rows: [] };
        },
      });
      return purged;
    };
    await append(store, appendRequest([insertTodo("a", 1), insertTodo("b", 2)]));
    await append(
      store,
      appendRequest([
        deleteTodo("a", 9),
      ]),
    );
    await append(store, appendRequest([insertTodo("c", 10)]));
    unwrapOrThrow(await store.trim({ through: 3 }));
    assertEquals(await at(), [{ hlc: "9", clientId: "bob" }, undefined]);
    assertEquals([...(await snapshotRows(store)).keys()].sort(), ["todos/b", "todos/c"]);
  });

  check("remembers each pusher's last push beyond the trim, and only that", async ({ store }) => {
    const old = insertTodo("a", 1);
    const last = [insertTodo("b", 2), insertTodo("c", 3)];
    await append(store, appendRequest([old]));
    await append(store, appendRequest(last));
    await append(store, appendRequest([insertTodo("d", 1, "bob")]));
    unwrapOrThrow(await store.trim({ through: 3 }));
    let seen: boolean[] = [];
    const look = () =>
      append(store, {
        clientId: "carol",
        deltas: [old, ...last],
        rows: [],
        plan(view) {
          seen = [old, ...last].map((delta) => view.duplicate(delta) !== undefined);
          return { entries: [], rows: [] };
        },
      });
    await look();
    assertEquals(seen, [false, true, true]);
    await append(store, appendRequest([insertTodo("e", 5)]));
    unwrapOrThrow(await store.trim({ through: 4 }));
    await look();
    assertEquals(seen, [false, false, false]);
  });
}
