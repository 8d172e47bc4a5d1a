import { LakeSyncError, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { foreign, openPage } from "./testdata/devtools_page_browser.ts";
import { Eyes, withPage } from "./testdata/eyes_browser.ts";
import { LakeSyncDevtools } from "./mod.ts";

test("whatever is in a row, an id, an error or a client's name is text", () =>
  withPage(async (eyes) => {
    const { client, gateway } = eyes.page;
    const evil =
      `<img src=x onerror="globalThis.hit = true"><script>globalThis.hit = true</script>`;
    gateway.append([
      foreign(`${evil}1`, { title: evil, done: false }, { clientId: evil }),
      foreign("n", { body: { [evil]: evil } }, { table: "notes", clientId: evil }),
    ]);
    unwrapOrThrow(await client.syncOnce());
    gateway.reject = () => "FORBIDDEN_WRITE";
    unwrapOrThrow(await client.tables.todos.update(`${evil}1`, { title: `${evil}2` }));
    await client.syncOnce();
    gateway.fault = () => ({ fault: "error", error: new LakeSyncError("INTERNAL", evil) });
    unwrapOrThrow(await client.tables.todos.update(`${evil}1`, { title: `${evil}3` }));
    await client.syncOnce();
    await eyes.sees(".row", "<script>");
    eyes.click(".row");
    await eyes.sees(".detail h3", "<script>");
    for (const summary of eyes.all("summary")) summary.click();
    assertEquals(eyes.root.querySelectorAll("img, script").length, 0);
    for (const tab of ["outbox", "rejected", "timeline", "log", "storage"]) {
      eyes.tab(tab);
      if (tab !== "storage") await eyes.sees(".body", "<script>");
      assertEquals(eyes.root.querySelectorAll("img, script").length, 0);
    }
    assertEquals((globalThis as { hit?: boolean }).hit, undefined);
  }));

test("100,000 rows are scrolled through, filtered and changed with some dozens of them in the page", () =>
  withPage(async (eyes) => {
    const { client, database } = eyes.page;
    const numbers =
      "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)";
    const inserted = await database.transaction(async (tx) => {
      await tx.run(`${numbers} INSERT INTO todos (id, title, done, rank)
        SELECT printf('row-%06d', i), 'title ' || i, 0, i FROM n`);
      const hlc = foreign("", {}).hlc;
      const state =
        `'["${hlc}","sub:phone",{"title":["title ' || i || '"],"done":[false],"rank":[' || i || ']}]'`;
      await tx.run(`${numbers} INSERT INTO lakesync_base_todos (id, state)
        SELECT printf('row-%06d', i), ${state} FROM n`);
    });
    unwrapOrThrow(inserted);
    unwrapOrThrow(await client.tables.todos.insert({ id: "z", title: "the last", done: true }));
    await eyes.sees(".bar", "100,001 rows");
    await eyes.sees(".row", "row-000000");
    assert(eyes.all(".row").length < 80, `${eyes.all(".row").length} rows are in the page`);
    const [list] = eyes.all(".list");
    eyes.press("End", list!);
    await eyes.sees(".row", "the last");
    assertEquals(
      eyes.root.getElementById(list!.getAttribute("aria-activedescendant")!)?.textContent
        .includes("the last"),
      true,
    );
    eyes.press("Enter", list!);
    await eyes.sees(".detail h3", "z");
    eyes.press("Home", list!);
    eyes.press("Enter", list!);
    await eyes.sees(".detail h3", "row-000000");
    await eyes.sees(".row", "row-000000");
    eyes.press("ArrowDown", list!);
    eyes.press("PageDown", list!);
    list!.scrollTop = list!.scrollHeight / 2;
    await eyes.sees(".row", "row-0500");
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const from = performance.now();
      unwrapOrThrow(await client.tables.todos.update("row-050000", { title: `change ${i}` }));
      await eyes.sees(".row", `change ${i}`);
      times.push(performance.now() - from);
    }
    times.sort((a, b) => a - b);
    // It takes some 110 ms on a quiet machine, of which 100 are a pause.
    assert(times[10]! < 2_000, `a change showed after ${times[10]} ms (median)`);
    const search = eyes.root.querySelector("input")!;
    search.value = "TITLE 99999";
    search.dispatchEvent(new Event("input"));
    await eyes.sees(".bar", "1 row");
    await eyes.sees(".row", "row-099999");
  }));

test("by keyboard: tabs, the height, and Escape which gives the focus back", () =>
  withPage(async (eyes) => {
    const [first] = eyes.all('[role="tab"][data-tab="data"]');
    first!.focus();
    eyes.press("ArrowRight", first!);
    assertEquals((eyes.root.activeElement as HTMLElement).dataset.tab, "outbox");
    assertEquals(eyes.root.activeElement!.getAttribute("aria-selected"), "true");
    await eyes.sees(".empty", "Nothing waits");
    const [edge] = eyes.all('[role="separator"]');
    const before = eyes.all(".dock")[0]!.offsetHeight;
    eyes.press("ArrowUp", edge!);
    assertEquals(eyes.all(".dock")[0]!.offsetHeight, before + 32);
    eyes.press("Escape", edge!);
    assertEquals([eyes.page.devtools.open, eyes.all(".dock").length], [false, 0]);
    assertEquals(eyes.root.activeElement, eyes.all(".launcher")[0]);
    eyes.click(".launcher");
    assertEquals(eyes.all(".dock").length, 1);
  }));

test("with a live gateway it shows the state, and pauses and resumes", () =>
  withPage(async (eyes) => {
    const { gateway } = eyes.page;
    await eyes.sees(".state", "idle");
    gateway.append([foreign("r", { title: "by itself", done: false })]);
    await eyes.sees(".row", "by itself");
    eyes.click("button", "Pause");
    await eyes.sees(".state", "paused");
    eyes.click("button", "Resume");
    await eyes.sees(".state", "idle");
  }, { live: true }));

test("closed it reads nothing, and taken out of the page it holds on to nothing", async () => {
  const page = await openPage({ open: false });
  const { client, devtools, database } = page;
  unwrapOrThrow(await client.syncOnce());
  const query = database.query.bind(database);
  let queries = 0;
  database.query = (...args) => {
    queries++;
    return query(...args);
  };
  const write = async (title: string): Promise<void> => {
    unwrapOrThrow(await client.tables.todos.insert({ title, done: false }));
    unwrapOrThrow(await client.syncOnce());
    for (let i = 0; i < 12; i++) await new Promise((resolve) => setTimeout(resolve, 25));
  };
  await write("a");
  assertEquals(queries, 0);
  const eyes = new Eyes(page);
  assertStringIncludes(eyes.texts(".launcher")[0]!, "manual");
  devtools.open = true;
  await eyes.sees(".row", "a");
  devtools.remove();
  assertEquals(devtools.shadowRoot!.childElementCount, 0);
  queries = 0;
  await write("b");
  assertEquals(queries, 0);
  // Put back it goes on.
  document.body.append(devtools);
  await eyes.sees(".row", "b");
  devtools.client = undefined;
  assertEquals(devtools.shadowRoot!.childElementCount, 0);
  await page.close();
});

test("a client that was set before the module came is shown, and so is another one after it", async () => {
  const page = await openPage();
  const other = await openPage();
  other.devtools.remove();
  page.devtools.remove();
  const early = new LakeSyncDevtools();
  Object.defineProperty(early, "client", {
    value: page.client,
    configurable: true,
    writable: true,
  });
  early.open = true;
  document.body.append(early);
  unwrapOrThrow(await page.client.tables.todos.insert({ id: "one", title: "1", done: false }));
  const eyes = new Eyes({ ...page, devtools: early });
  await eyes.sees(".row", "one");
  unwrapOrThrow(await other.client.tables.todos.insert({ id: "two", title: "2", done: false }));
  early.client = other.client;
  await eyes.sees(".row", "two");
  assertEquals(eyes.texts(".row").some((text) => text.includes("one")), false);
  early.remove();
  await page.close();
  await other.close();
});
