import {
  memo,
  type ReactNode,
  startTransition,
  StrictMode,
  Suspense,
  useDeferredValue,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { unwrapOrThrow } from "@lakesync/core";
import { queryBuilder } from "../kysely.ts";
import { LakeSyncProvider, useQuery, useSuspenseQuery } from "./mod.ts";
import {
  addTodos,
  Boundary,
  counting,
  mount,
  newGateway,
  openDevice,
  todos,
  until,
  untilText,
  withConsole,
} from "./testdata/app.tsx";

const TITLES = "SELECT id, title FROM todos ORDER BY title";

function Titles({ sql = TITLES }: { sql?: string }): ReactNode {
  const { rows, loading, error } = useQuery<{ id: string; title: string }>(sql);
  if (error !== undefined) return <p>{error.code}</p>;
  return <p>{loading ? "loading" : rows.map(({ title }) => title).join(" ")}</p>;
}

test("a component shows a query's rows, and what this device and others change", async () => {
  const gateway = newGateway();
  const [here, there] = [await openDevice(gateway), await openDevice(gateway)];
  await addTodos(here, 2);
  const { element, unmount } = mount(
    <LakeSyncProvider client={here}>
      <Titles />
    </LakeSyncProvider>,
  );
  await untilText(element, "0 1");
  await here.tables.todos.update("0", { title: "zero" });
  await untilText(element, "1 zero");
  unwrapOrThrow(await here.syncOnce());
  unwrapOrThrow(await there.syncOnce());
  await addTodos(there, 1, 5);
  unwrapOrThrow(await there.syncOnce());
  unwrapOrThrow(await here.syncOnce());
  await untilText(element, "1 5 zero");
  await there.tables.todos.delete("1");
  unwrapOrThrow(await there.syncOnce());
  unwrapOrThrow(await here.syncOnce());
  await untilText(element, "5 zero");
  unmount();
  await here.close();
  await there.close();
});

test("rows of a query builder have its types", async () => {
  const client = await openDevice();
  await addTodos(client, 3);
  const db = queryBuilder([todos]);
  function Open(): ReactNode {
    const { rows } = useQuery(
      db.selectFrom("todos").select(["title", "done"]).where("id", ">", "0"),
    );
    const titles: string[] = rows.map(({ title, done }) => `${title}${done satisfies 0 | 1}`);
    return <p>{titles.join(" ")}</p>;
  }
  const { element, unmount } = mount(
    <LakeSyncProvider client={client}>
      <Open />
    </LakeSyncProvider>,
  );
  await untilText(element, "10 20");
  unmount();
  await client.close();
});

test("a change renders the rows again that it changed, and no others", async () => {
  const client = await openDevice();
  await addTodos(client, 3);
  const rendered: string[] = [];
  const Row = memo(({ row }: { row: { id: string; title: string } }): ReactNode => {
    rendered.push(row.id);
    return <li>{row.title}</li>;
  });
  function List(): ReactNode {
    const { rows } = useQuery<{ id: string; title: string }>(TITLES);
    return rows.map((row) => <Row key={row.id} row={row} />);
  }
  const { element, unmount } = mount(
    <LakeSyncProvider client={client}>
      <List />
    </LakeSyncProvider>,
  );
  await untilText(element, "012");
  rendered.length = 0;
  await client.tables.todos.update("1", { title: "1b" });
  await untilText(element, "01b2");
  assertEquals(rendered, ["1"]);
  unmount();
  await client.close();
});

test("a thousand components share one query, never show different results, and leave nothing", async () => {
  const [client, subscriptions] = counting(await openDevice());
  await addTodos(client, 1);
  const torn: string[] = [];
  function Count(): ReactNode {
    const { rows } = useQuery("SELECT count(*) AS n FROM todos");
    return <i>{String(rows[0]?.n)}</i>;
  }
  function All({ at }: { at: () => HTMLElement }): ReactNode {
    useQuery("SELECT count(*) AS n FROM todos");
    useLayoutEffect(() => {
      const shown = new Set([...at().querySelectorAll("i")].map((each) => each.textContent));
      if (shown.size !== 1) torn.push([...shown].join());
    });
    return Array.from({ length: 1_000 }, (_, i) => <Count key={i} />);
  }
  const { element, unmount } = mount(
    <LakeSyncProvider client={client}>
      <All at={() => element} />
    </LakeSyncProvider>,
  );
  await untilText(element, "1".repeat(1_000));
  for (let n = 2; n <= 9; n++) await addTodos(client, 1, n);
  await untilText(element, "9".repeat(1_000));
  assertEquals(torn, []);
  assertEquals(subscriptions, { now: 1, all: 1 });
  unmount();
  await until(() => subscriptions.now === 0);
  await client.close();
});

test("components that a transition mounts while rows change never show different results", async () => {
  const client = await openDevice();
  await addTodos(client, 1);
  const shown: string[] = [];
  let show: () => void = () => {};
  let rendered = 0;
  function Slow(): ReactNode {
    const { rows } = useQuery("SELECT count(*) AS n FROM todos");
    const end = performance.now() + 2;
    while (performance.now() < end) rendered++;
    return <i>{String(rows[0]?.n)}</i>;
  }
  function All(): ReactNode {
    const [count, setCount] = useState(1);
    show = () => startTransition(() => setCount(200));
    const element = useRef<HTMLDivElement>(null);
    useLayoutEffect(() => {
      const texts = [...element.current!.querySelectorAll("i")].map((each) => each.textContent);
      shown.push(`${texts.length} × ${[...new Set(texts)].join()}`);
    });
    return (
      <div ref={element}>
        {Array.from({ length: count }, (_, i) => <Slow key={i} />)}
      </div>
    );
  }
  const { element, unmount } = mount(
    <LakeSyncProvider client={client}>
      <All />
    </LakeSyncProvider>,
  );
  await untilText(element, "1");
  const before = rendered;
  show();
  // Into the middle of it: it takes 400 ms, and lets others have their turn.
  await until(() => rendered > before);
  for (let n = 2; n <= 4; n++) await addTodos(client, 1, n);
  await untilText(element, "4".repeat(200));
  assert(shown.every((each) => /^(1|200) × (undefined|\d)$/.test(each)), shown.join("\n"));
  unmount();
  await client.close();
});

test("in StrictMode a query runs once, and ends with the component", async () => {
  const [client, subscriptions] = counting(await openDevice());
  await addTodos(client, 1);
  const { element, render, unmount } = mount(
    <StrictMode>
      <LakeSyncProvider client={client}>
        <Titles />
      </LakeSyncProvider>
    </StrictMode>,
  );
  await untilText(element, "0");
  assertEquals(subscriptions, { now: 1, all: 1 });
  render(
    <StrictMode>
      <LakeSyncProvider client={client}>
        <Titles sql={`${TITLES} DESC`} />
      </LakeSyncProvider>
    </StrictMode>,
  );
  await until(() => subscriptions.all === 2 && subscriptions.now === 1);
  await untilText(element, "0");
  unmount();
  await until(() => subscriptions.now === 0);
  await client.close();
});

test("a query that fails says why, and an error boundary gets what useSuspenseQuery throws", async () => {
  const [client, subscriptions] = counting(await openDevice());
  await addTodos(client, 1);
  let sql = "SELECT * FROM nowhere";
  function Suspending(): ReactNode {
    return <p>{useSuspenseQuery(sql).length}</p>;
  }
  const { element, unmount } = mount(
    <LakeSyncProvider client={client}>
      <Titles sql={sql} />
      <Boundary>
        <Suspense>
          <Suspending />
        </Suspense>
      </Boundary>
    </LakeSyncProvider>,
  );
  await untilText(element, "VALIDATION_ERRORLakeSyncError VALIDATION_ERROR");
  sql = TITLES;
  element.querySelector("button")!.click();
  await untilText(element, "VALIDATION_ERROR1");
  unmount();
  await until(() => subscriptions.now === 0);
  await client.close();
});

test("useSuspenseQuery waits for rows, and keeps them while a deferred parameter changes", async () => {
  const [client, subscriptions] = counting(await openDevice());
  await addTodos(client, 3);
  const shown: string[] = [];
  function Found({ id }: { id: string }): ReactNode {
    const rows = useSuspenseQuery("SELECT title FROM todos WHERE id >= ?", [id]);
    const text = rows.map(({ title }) => String(title)).join(" ");
    return <p>{text}</p>;
  }
  function Search({ id }: { id: string }): ReactNode {
    const deferred = useDeferredValue(id);
    return (
      <Suspense fallback={<Fallback />}>
        <Found id={deferred} />
      </Suspense>
    );
  }
  function Fallback(): ReactNode {
    useLayoutEffect(() => void shown.push("fallback"), []);
    return <p>…</p>;
  }
  const page = (id: string) => (
    <StrictMode>
      <LakeSyncProvider client={client}>
        <Search id={id} />
      </LakeSyncProvider>
    </StrictMode>
  );
  const warnings = await withConsole(async () => {
    const { element, render, unmount } = mount(page("0"));
    await untilText(element, "0 1 2");
    const before = shown.length;
    assert(before >= 1);
    render(page("2"));
    await untilText(element, "2");
    assertEquals(shown.length, before);
    await client.tables.todos.update("2", { title: "two" });
    await untilText(element, "two");
    unmount();
  });
  assertEquals(warnings, []);
  await until(() => subscriptions.now === 0);
  await client.close();
});
