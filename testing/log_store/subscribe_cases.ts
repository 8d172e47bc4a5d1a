import { assertEquals } from "@std/assert";
import { type LogStore, unwrapOrThrow } from "@lakesync/core";
import { append, appendRequest, type Check, insertTodo, until } from "./fixture.ts";

/** Those who want to know of changes. */
export function registerSubscribeCases(check: Check): void {
  const changes: [title: string, change: (store: LogStore) => Promise<unknown>][] = [
    ["an append", (store) => append(store, appendRequest([insertTodo("a", 1)]))],
    ["a value", async (store) => unwrapOrThrow(await store.setValue("a", "1"))],
    [
      "a value within an append",
      (store) => append(store, appendRequest([], { values: new Map([["a", "1"]]) })),
    ],
  ];
  for (const [title, change] of changes) {
    check(`calls a subscriber after ${title}`, async ({ store }) => {
      const called = Promise.withResolvers<void>();
      const unsubscribe = store.subscribe(called.resolve);
      await change(store);
      await called.promise;
      unsubscribe();
      unsubscribe();
    });
  }

  check("has made readable what it calls a subscriber for", async ({ store }) => {
    const appended = append(store, appendRequest([insertTodo("a", 1)]));
    await until(store, async () => unwrapOrThrow(await store.head()).seq === 1);
    await appended;
  });

  check("calls all subscribers, but none that has gone", async ({ store }) => {
    let gone = 0;
    const unsubscribe = store.subscribe(() => gone++);
    unsubscribe();
    const called = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const others = called.map(({ resolve }) => store.subscribe(resolve));
    await append(store, appendRequest([insertTodo("a", 1)]));
    await Promise.all(called.map(({ promise }) => promise));
    for (const end of others) end();
    assertEquals(gone, 0);
  });

  check("can be closed with subscribers, who may go afterwards", async ({ store }) => {
    const unsubscribe = store.subscribe(() => {});
    await store.close();
    unsubscribe();
  });
}
