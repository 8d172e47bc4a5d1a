import { type ReactNode, Suspense } from "react";
import { renderToReadableStream, renderToString } from "react-dom/server";
import { boolean, defineTable, string, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { type Client, createClient } from "../mod.ts";
import { LakeSyncProvider, useLakeSync, useQuery, useSuspenseQuery, useSyncStatus } from "./mod.ts";

const todos = defineTable("todos", { title: string(), done: boolean() });
const options = { tables: [todos], database: "never-opened" } as const;

test("a server renders a provider with options without a database: initial rows, and no status", async () => {
  let client: Client | undefined;
  function Page(): ReactNode {
    client = useLakeSync();
    const { outbox, state } = useSyncStatus();
    const { rows, loading } = useQuery<{ title: string }>("SELECT title FROM todos", [], {
      initial: [{ title: "Milk" }],
    });
    return <p>{`${state} ${outbox} ${loading} ${rows.map(({ title }) => title)}`}</p>;
  }
  const html = renderToString(
    <LakeSyncProvider options={options}>
      <Page />
    </LakeSyncProvider>,
  );
  assertEquals(html, "<p>idle 0 true Milk</p>");
  // What is tried all the same is refused with what to do about it.
  const { tables, live } = client!;
  const inserted = await tables["todos"]!.insert({});
  assertEquals(!inserted.ok && inserted.error.code, "CLOSED");
  for await (const rows of live("SELECT 1")) throw new Error(`${rows.length} rows`);
});

test("where a query must wait for the browser's database, a server renders the fallback", async () => {
  function Page(): ReactNode {
    return <p>{useSuspenseQuery("SELECT 1").length} rows</p>;
  }
  const errors: string[] = [];
  const stream = await renderToReadableStream(
    <LakeSyncProvider options={options}>
      <Suspense fallback="waiting">
        <Page />
      </Suspense>
    </LakeSyncProvider>,
    { onError: (error) => void errors.push((error as Error).message) },
  );
  await stream.allReady;
  assertStringIncludes(await new Response(stream).text(), "waiting");
  assertEquals(errors.length, 1);
  assertStringIncludes(errors[0]!, "give LakeSyncProvider a client");
});

test("a server that has a client waits for its rows", async () => {
  const client = unwrapOrThrow(await createClient({ tables: [todos], database: ":memory:" }));
  unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
  function Page(): ReactNode {
    const rows = useSuspenseQuery("SELECT title FROM todos WHERE id = ?", ["1"]);
    return <p>{rows.map(({ title }) => String(title))}</p>;
  }
  const stream = await renderToReadableStream(
    <LakeSyncProvider client={client}>
      <Page />
    </LakeSyncProvider>,
  );
  assertEquals(await new Response(stream).text(), "<p>Milk</p>");
  await client.close();
});
