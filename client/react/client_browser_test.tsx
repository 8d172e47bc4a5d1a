import { Activity, type ReactNode, StrictMode, Suspense, useEffect } from "react";
import { hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server.browser";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { type Client, createClient } from "../mod.ts";
import {
  defineTable,
  integer,
  LakeSyncError,
  ok,
  type Result,
  unwrapOrThrow,
} from "@lakesync/core";
import {
  LakeSyncProvider,
  type Mutation,
  useLakeSync,
  useMutation,
  useQuery,
  useSyncStatus,
} from "./mod.ts";
import { serverClient } from "./_server_client.ts";
import {
  addTodos,
  Boundary,
  mount,
  openDevice,
  type Tables,
  todos,
  until,
  untilText,
  withConsole,
} from "./testdata/app.tsx";

const TITLES = "SELECT title FROM todos ORDER BY title";

function Titles({ initial }: { initial?: { title: string }[] }): ReactNode {
  const { rows } = useQuery(TITLES, [], { ...(initial !== undefined && { initial }) });
  return <ul>{rows.map(({ title }) => <li key={title}>{title}</li>)}</ul>;
}

test("markup of a server is taken over without a warning, and follows the data from then on", async () => {
  const client = await openDevice();
  await addTodos(client, 2);
  function Status(): ReactNode {
    const { state, outbox } = useSyncStatus();
    return <p>{state}{outbox}</p>;
  }
  const page = (client: Client<Tables>) => (
    <LakeSyncProvider client={client}>
      <Titles initial={[{ title: "of the server" }]} />
      <Titles />
      <Status />
    </LakeSyncProvider>
  );
  const element = document.createElement("div");
  element.innerHTML = renderToString(page(client));
  assertEquals(element.textContent, "of the serveridle0");
  const [first] = element.children;
  const warnings = await withConsole(async (warned) => {
    const root = hydrateRoot(element, page(client), { onRecoverableError: warned });
    await until(() => element.textContent!.startsWith("0101"));
    assertEquals(element.children[0], first);
    await addTodos(client, 1, 2);
    await until(() => element.textContent!.startsWith("012012"));
    root.unmount();
  });
  assertEquals(warnings, []);
  await client.close();
});

test("markup of a server stays until the browser's database is open, and is taken over then", async () => {
  const options = { tables: [todos], database: "hydrated" } as const;
  const content = (
    <>
      <Titles initial={[{ title: "of the server" }]} />
      <Rows />
    </>
  );
  // What a server renders for a provider that has options.
  const html = renderToString(
    <Suspense fallback="…">
      <LakeSyncProvider client={serverClient(options.tables)}>{content}</LakeSyncProvider>
    </Suspense>,
  );
  const element = document.createElement("div");
  element.innerHTML = html;
  const list = element.querySelector("ul");
  const warnings = await withConsole(async (warned) => {
    const root = hydrateRoot(
      element,
      <Suspense fallback="…">
        <LakeSyncProvider options={options}>{content}</LakeSyncProvider>
      </Suspense>,
      { onRecoverableError: warned },
    );
    await untilText(element, "none");
    assertEquals(element.querySelector("ul"), list);
    root.unmount();
  });
  assertEquals(warnings, []);

  function Rows(): ReactNode {
    const { rows, loading } = useQuery(TITLES);
    return <p>{loading ? "?" : rows.length === 0 ? "none" : "some"}</p>;
  }
});

test("a provider opens a client, two of them and StrictMode share it, and the last one closes it", async () => {
  const clients = new Set<Client>();
  function Seen(): ReactNode {
    const client = useLakeSync();
    useEffect(() => void clients.add(client), [client]);
    return <Titles />;
  }
  const page = (count: number) => (
    <StrictMode>
      <Suspense fallback="opening">
        {Array.from({ length: count }, (_, i) => (
          // Options that are another object each time.
          <LakeSyncProvider key={i} options={{ tables: [todos], database: "opened" }}>
            <Seen />
          </LakeSyncProvider>
        ))}
      </Suspense>
    </StrictMode>
  );
  const { element, render, unmount } = mount(page(2));
  await untilText(element, "opening");
  await until(() => clients.size > 0);
  const [client] = clients as Set<Client<Tables>>;
  await addTodos(client!, 1);
  await untilText(element, "00");
  render(page(1));
  await untilText(element, "0");
  await addTodos(client!, 1, 1);
  await untilText(element, "01");
  assertEquals(clients.size, 1);
  unmount();
  await until(() => client!.status.state === "closed");
  // What was written is there when it is opened again.
  const again = mount(page(1));
  await untilText(again.element, "01");
  assertEquals(clients.size, 2);
  again.unmount();
});

test("where a client cannot be opened an error boundary is told, and its reset tries again", async () => {
  const options = { tables: [todos], database: "contradicted" } as const;
  const other = unwrapOrThrow(
    await createClient({
      ...options,
      tables: [defineTable("todos", { title: integer() })],
    }),
  );
  const { element, unmount } = mount(
    <Boundary>
      <Suspense fallback="opening">
        <LakeSyncProvider options={options}>
          <p>open</p>
        </LakeSyncProvider>
      </Suspense>
    </Boundary>,
  );
  await untilText(element, "LakeSyncError CONFLICT");
  unwrapOrThrow(await other.wipe());
  await until(() => {
    element.querySelector("button")?.click();
    return element.textContent === "open";
  });
  unmount();
});

test("after a wipe a provider stays as it is, and one that is mounted anew opens an empty database", async () => {
  const seen: Client[] = [];
  function Seen(): ReactNode {
    const client = useLakeSync();
    const { state } = useSyncStatus();
    useEffect(() => void seen.push(client), [client]);
    return state === "closed" ? <p>signed out</p> : <Titles />;
  }
  const page = (user: string) => (
    <Suspense fallback="opening">
      <LakeSyncProvider key={user} options={{ tables: [todos], database: "users" }}>
        <Seen />
      </LakeSyncProvider>
    </Suspense>
  );
  const { element, render, unmount } = mount(page("a"));
  await until(() => seen.length === 1);
  await addTodos(seen[0] as Client<Tables>, 1);
  await untilText(element, "0");
  unwrapOrThrow(await seen[0]!.wipe());
  await untilText(element, "signed out");
  render(page("a"));
  await untilText(element, "signed out");
  render(page("b"));
  await until(() => seen.length === 2 && element.textContent === "");
  await addTodos(seen[1] as Client<Tables>, 2);
  await untilText(element, "01");
  unmount();
});

test("a tree that is kept hidden lets go of its client, and opens it again when it is shown", async () => {
  const seen = new Set<Client>();
  function Seen(): ReactNode {
    const client = useLakeSync();
    useEffect(() => void seen.add(client), [client]);
    return <Titles />;
  }
  const page = (mode: "visible" | "hidden") => (
    <Suspense fallback="opening">
      <Activity mode={mode}>
        <LakeSyncProvider options={{ tables: [todos], database: "hidden" }}>
          <Seen />
        </LakeSyncProvider>
      </Activity>
    </Suspense>
  );
  const { element, render, unmount } = mount(page("visible"));
  await until(() => seen.size === 1);
  const [first] = seen as Set<Client<Tables>>;
  await addTodos(first!, 1);
  await untilText(element, "0");
  render(page("hidden"));
  await until(() => first!.status.state === "closed");
  render(page("visible"));
  await until(() => seen.size === 2);
  const [, second] = seen as Set<Client<Tables>>;
  await addTodos(second!, 1, 1);
  await until(() => element.textContent === "01");
  unmount();
  await until(() => second!.status.state === "closed");
});

test("where the provider gets another client, other rows are shown", async () => {
  const [one, two] = [await openDevice(), await openDevice()];
  await addTodos(one, 1);
  await addTodos(two, 1, 2);
  const page = (client: Client<Tables>) => (
    <LakeSyncProvider client={client}>
      <Titles />
    </LakeSyncProvider>
  );
  const { element, render, unmount } = mount(page(one));
  await untilText(element, "0");
  render(page(two));
  await untilText(element, "2");
  await one.close();
  await addTodos(two, 1, 3);
  await untilText(element, "23");
  unmount();
  await two.close();
});

test("without a provider a hook says what is missing", async () => {
  const { element, unmount } = mount(
    <Boundary>
      <Titles />
    </Boundary>,
  );
  await until(() => element.textContent!.startsWith("TypeError"));
  unmount();
});

test("a mutation is pending until it is answered, and has the newest call's outcome", async () => {
  let mutation: Mutation<[Promise<Result<string>>], string> | undefined;
  function Button(): ReactNode {
    mutation = useMutation((answer: Promise<Result<string>>) => answer);
    const { pending, error, value } = mutation;
    return <p>{pending ? "pending" : error?.code ?? value ?? "-"}</p>;
  }
  const { element, unmount } = mount(
    <StrictMode>
      <Button />
    </StrictMode>,
  );
  await untilText(element, "-");
  const { mutate } = mutation!;
  const [one, two] = [
    Promise.withResolvers<Result<string>>(),
    Promise.withResolvers<Result<string>>(),
  ];
  const calls = [mutate(one.promise), mutate(two.promise)];
  await untilText(element, "pending");
  two.resolve(ok("two"));
  assertEquals(await calls[1], ok("two"));
  one.resolve(ok("one"));
  await untilText(element, "two");
  assertEquals(mutation!.mutate, mutate);

  const refused = { ok: false, error: new LakeSyncError("NOT_FOUND", "Cannot") } as const;
  assertEquals(await mutate(Promise.resolve(refused)), refused);
  await untilText(element, "NOT_FOUND");
  mutation!.reset();
  await untilText(element, "-");
  await mutate(Promise.reject(new Error("thrown")));
  await untilText(element, "INTERNAL");
  assertEquals(mutation!.error?.message, "thrown");
  const late = mutate(Promise.resolve(ok("late")));
  mutation!.reset();
  await late;
  await untilText(element, "-");
  unmount();
});

test("the sync status is followed: what waits, and that it was sent", async () => {
  const client = await openDevice();
  client.pause();
  function Status(): ReactNode {
    const { state, outbox } = useSyncStatus();
    return <p>{state} {outbox}</p>;
  }
  const { element, unmount } = mount(
    <LakeSyncProvider client={client}>
      <Status />
    </LakeSyncProvider>,
  );
  await untilText(element, "paused 0");
  await addTodos(client, 2);
  await untilText(element, "paused 2");
  client.resume();
  await untilText(element, "idle 0");
  unmount();
  await client.close();
});
