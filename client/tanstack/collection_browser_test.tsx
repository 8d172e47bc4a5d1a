import { createCollection, eq } from "@tanstack/db";
import { useLiveQuery as useLiveQueryInReact } from "@tanstack/react-db";
import { useLiveQuery as useLiveQueryInSolid } from "@tanstack/solid-db";
import { useLiveQuery as useLiveQueryInVue } from "@tanstack/vue-db";
import { createComponent, createRenderEffect, mapArray, Suspense } from "solid-js";
import { render as renderInSolid } from "solid-js/web";
import { createApp, defineComponent, h } from "vue";
import { type ReactNode, StrictMode } from "react";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { unwrapOrThrow } from "@lakesync/core";
import { createClient } from "../mod.ts";
import { mount, newGateway, openDevice, todos, untilText } from "../react/testdata/app.tsx";
import { lakeSyncCollectionOptions } from "./mod.ts";

test("React shows a collection: what it writes, what this device and what others write", async () => {
  const gateway = newGateway();
  const [here, there] = [await openDevice(gateway), await openDevice(gateway)];
  const collection = createCollection(lakeSyncCollectionOptions({ client: here, table: todos }));
  function Open(): ReactNode {
    const { data, isReady } = useLiveQueryInReact((q) =>
      q.from({ todo: collection }).where(({ todo }) => eq(todo.done, false))
        .orderBy(({ todo }) => todo.title)
    );
    return (
      <>
        {isReady ? "" : "loading"}
        {data.map(({ id, title }) => (
          <button
            key={id}
            type="button"
            onClick={() =>
              collection.update(id, (todo) => {
                todo.done = true;
              })}
          >
            {title}
          </button>
        ))}
      </>
    );
  }
  const { element, unmount } = mount(
    <StrictMode>
      <Open />
    </StrictMode>,
  );
  await untilText(element, "");
  const inserted = collection.insert([
    { id: "1", title: "Bread", done: false },
    { id: "2", title: "Milk", done: false },
  ]);
  await untilText(element, "BreadMilk");
  await inserted.isPersisted.promise;
  unwrapOrThrow(await here.syncOnce());
  unwrapOrThrow(await there.syncOnce());
  unwrapOrThrow(await there.tables.todos.update("2", { title: "Almond milk" }));
  unwrapOrThrow(await there.syncOnce());
  unwrapOrThrow(await here.syncOnce());
  await untilText(element, "Almond milkBread");
  unwrapOrThrow(await here.tables.todos.insert({ id: "3", title: "Coffee", done: false }));
  await untilText(element, "Almond milkBreadCoffee");
  element.querySelector("button")!.click();
  await untilText(element, "BreadCoffee");
  unwrapOrThrow(await here.syncOnce());
  unwrapOrThrow(await there.syncOnce());
  assertEquals(unwrapOrThrow(await there.tables.todos.get("2"))?.done, true);
  unmount();
  for (const client of [here, there]) await client.close();
});

test("Vue shows a collection over a database in a worker, and writes through it", async () => {
  const client = unwrapOrThrow(await createClient({ tables: [todos], database: "vue" }));
  unwrapOrThrow(await client.tables.todos.insert({ id: "0", title: "Apples", done: false }));
  const collection = createCollection(lakeSyncCollectionOptions({ client, table: todos }));
  const Titles = defineComponent(() => {
    const { data } = useLiveQueryInVue((q) =>
      q.from({ todo: collection }).orderBy(({ todo }) => todo.title)
    );
    return () =>
      data.value.map(({ id, title, done }) =>
        h(
          "button",
          { key: id, onClick: () => collection.delete(id) },
          `${title}${done ? "✓" : ""}`,
        )
      );
  });
  const element = document.createElement("div");
  document.body.append(element);
  const app = createApp(Titles);
  app.mount(element);
  await untilText(element, "Apples");
  await collection.insert({ id: "1", title: "Bread", done: false }).isPersisted.promise;
  await untilText(element, "ApplesBread");
  unwrapOrThrow(await client.tables.todos.update("1", { done: true }));
  await untilText(element, "ApplesBread✓");
  element.querySelector("button")!.click();
  await untilText(element, "Bread✓");
  await collection.utils.settled();
  assertEquals(
    unwrapOrThrow(await client.query("SELECT id FROM todos")).map(({ id }) => id),
    ["1"],
  );
  app.unmount();
  unwrapOrThrow(await client.wipe());
});

test("Solid shows a collection, what is written through it and what is written beside it", async () => {
  const gateway = newGateway();
  const [client, other] = [await openDevice(gateway), await openDevice(gateway)];
  const collection = createCollection(lakeSyncCollectionOptions({ client, table: todos }));
  const Titles = () => {
    const open = useLiveQueryInSolid((q) =>
      q.from({ todo: collection }).where(({ todo }) => eq(todo.done, false))
        .orderBy(({ todo }) => todo.title)
    );
    return mapArray(open, (row) => {
      const button = document.createElement("button");
      // A row that changes stays the same object.
      createRenderEffect(() => button.textContent = row.title);
      button.onclick = () =>
        collection.update(row.id, (todo) => {
          todo.done = true;
        });
      return button;
    });
  };
  const element = document.createElement("div");
  document.body.append(element);
  const dispose = renderInSolid(
    () =>
      createComponent(Suspense, {
        get children() {
          return Titles() as unknown as Node;
        },
      }),
    element,
  );
  await collection.insert([
    { id: "1", title: "Bread", done: false },
    { id: "2", title: "Milk", done: false },
  ]).isPersisted.promise;
  await untilText(element, "BreadMilk");
  unwrapOrThrow(await client.syncOnce());
  unwrapOrThrow(await other.syncOnce());
  unwrapOrThrow(await other.tables.todos.update("2", { title: "Almond milk" }));
  unwrapOrThrow(await other.syncOnce());
  unwrapOrThrow(await client.syncOnce());
  await untilText(element, "Almond milkBread");
  element.querySelector("button")!.click();
  await untilText(element, "Bread");
  await collection.utils.settled();
  assertEquals(unwrapOrThrow(await client.tables.todos.get("2"))?.done, true);
  dispose();
  for (const device of [client, other]) await device.close();
});
