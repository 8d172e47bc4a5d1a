import { assertEquals } from "@std/assert";
import { type LogStore, unwrapOrThrow } from "@lakesync/core";
import {
  append,
  appendRequest,
  type Check,
  deleteTodo,
  insertTodo,
  insertTodos,
  readAll,
  snapshotRows,
} from "./fixture.ts";

/** What must be there again after a restart. */
export function registerDurableCases(check: Check): void {
  check("is the same after it was closed and opened again", async ({ store, reopen }) => {
    await append(
      store,
      appendRequest(insertTodos(700)),
    );
    await append(
      store,
      appendRequest([
        deleteTodo("r5", 9000),
      ]),
    );
    await append(store, appendRequest([insertTodo("nul\0", 9001), insertTodo("nul\0\0", 9002)]));
    unwrapOrThrow(await store.trim({ through: 300 }));
    unwrapOrThrow(await store.setValue("k", "v"));
    const facts = async (of: LogStore) => [
      of.epoch,
      unwrapOrThrow(await of.head()),
      unwrapOrThrow(await of.stats()),
      unwrapOrThrow(await of.getValue("k")),
      unwrapOrThrow(await of.hashAt(300)),
      await readAll(of, 300),
      [...await snapshotRows(of)].sort(),
    ];
    const before = await facts(store);
    const again = await reopen();
    assertEquals(await facts(again), before);
    const duplicate = await append(again, appendRequest([insertTodo("r600", 601)]));
    assertEquals(duplicate.first, undefined);
  });
}
