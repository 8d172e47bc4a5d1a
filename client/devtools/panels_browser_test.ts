import { LakeSyncError, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { foreign } from "./testdata/devtools_page_browser.ts";
import { withPage } from "./testdata/eyes_browser.ts";

test("the data panel shows rows with the stamps of their cells, and follows writes and pages", () =>
  withPage(async (eyes) => {
    const { client, gateway } = eyes.page;
    await eyes.sees(".empty", "No rows");
    unwrapOrThrow(await client.tables.todos.insert({ id: "mine", title: "Milk", done: false }));
    await eyes.sees(".row", "mine");
    const [row] = eyes.all(".row");
    assertStringIncludes(row!.textContent, "waits to be sent");
    assertEquals(row!.querySelectorAll(".client.you").length, 2);
    assertEquals(row!.querySelectorAll(".pending").length, 2);
    unwrapOrThrow(await client.syncOnce());
    await eyes.seesNo(".row", "waits to be sent");
    assertEquals(eyes.all(".pending").length, 0);
    gateway.append([foreign("theirs", { title: "Bread", done: true, rank: 3 })]);
    unwrapOrThrow(await client.syncOnce());
    await eyes.sees(".row", "Bread");
    await eyes.sees(".row", "phone");
    await eyes.sees(".bar", "2 rows");
    gateway.append([foreign("mine", { title: "Oat milk" }, { op: "UPDATE", afterMs: 1_000 })]);
    unwrapOrThrow(await client.syncOnce());
    await eyes.sees(".row.flash", "Oat milk");
    unwrapOrThrow(await client.tables.todos.delete("mine"));
    await eyes.seesNo(".row", "Oat milk");
  }));

test("a row says why each of its values won, and what lost", () =>
  withPage(async (eyes) => {
    const { client, gateway } = eyes.page;
    gateway.append([foreign("r", { title: "first", done: false })]);
    unwrapOrThrow(await client.syncOnce());
    unwrapOrThrow(await client.tables.todos.update("r", { title: "second" }));
    unwrapOrThrow(await client.syncOnce());
    gateway.append([foreign("r", { title: "third" }, { op: "UPDATE", afterMs: 1_000 })]);
    gateway.reject = () => "FORBIDDEN_WRITE";
    unwrapOrThrow(await client.tables.todos.update("r", { title: "forbidden" }));
    unwrapOrThrow(await client.syncOnce());
    unwrapOrThrow(await client.tables.todos.update("r", { title: "fourth" }));
    await eyes.sees(".row", "fourth");
    eyes.click(".row", "fourth");
    await eyes.sees('[data-column="title"] summary', '"fourth"');
    eyes.click('[data-column="title"] summary');
    await eyes.sees(".why", "It has the later stamp");
    const said = eyes.texts('[data-column="title"] li');
    assertEquals(said.map((text) => /"(\w+)"/.exec(text)?.[1]), [
      "fourth",
      "third",
      undefined,
      "forbidden",
      "second",
    ]);
    assertStringIncludes(said[0]!, "not sent yet. It won");
    assertStringIncludes(said[1]!, "Told by the gateway. It lost: its stamp is earlier");
    assertStringIncludes(said[2]!, "It makes the row");
    assertStringIncludes(said[3]!, "rejected");
    assertStringIncludes(said[4]!, "settled");
    // It stays open and follows what happens, and keeps the focus.
    eyes.all('[data-column="title"] summary')[0]!.focus();
    gateway.append([foreign("r", { title: "fifth" }, { op: "UPDATE", afterMs: 2_000 })]);
    gateway.reject = () => undefined;
    unwrapOrThrow(await client.syncOnce());
    await eyes.sees('[data-column="title"] li.won', "fifth");
    assertEquals(eyes.root.activeElement, eyes.all('[data-column="title"] summary')[0]);
    gateway.append([foreign("r", {}, { op: "DELETE", afterMs: 3_000 })]);
    unwrapOrThrow(await client.syncOnce());
    await eyes.sees(".life", "no row");
    eyes.press("Escape", eyes.all(".detail summary")[0]!);
    assertEquals(eyes.all(".detail").length, 0);
    assert(eyes.page.devtools.open);
  }));

test("the outbox shows what waits, in its order, and empties with the push", () =>
  withPage(async (eyes) => {
    const { client } = eyes.page;
    eyes.tab("outbox");
    await eyes.sees(".empty", "Nothing waits");
    unwrapOrThrow(await client.tables.todos.insert({ id: "a", title: "Milk", done: false }));
    unwrapOrThrow(await client.tables.todos.update("a", { done: true }));
    unwrapOrThrow(await client.tables.todos.delete("a"));
    await eyes.sees(".row", "DELETE");
    assertEquals(eyes.texts(".row > .badge"), ["INSERT", "UPDATE", "DELETE"]);
    assertStringIncludes(eyes.texts(".row")[0]!, 'title "Milk"');
    assertEquals(eyes.texts('[data-tab="outbox"] .count'), ["3"]);
    eyes.page.gateway.fault = () => ({ fault: "lose-answer" });
    eyes.click("button", "Sync now");
    await eyes.sees('[role="status"]', "");
    await client.syncOnce();
    await client.syncOnce();
    eyes.page.gateway.fault = () => undefined;
    eyes.click("button", "Sync now");
    await eyes.sees(".empty", "Nothing waits");
    assertEquals(eyes.texts('[data-tab="outbox"] .count'), []);
    await eyes.sees('[role="status"]', "In step with the gateway");
  }));

test("dead letters are shown with their reason, made again and dropped", () =>
  withPage(async (eyes) => {
    const { client, gateway } = eyes.page;
    gateway.reject = () => "FORBIDDEN_WRITE";
    for (const id of ["a", "b"]) {
      unwrapOrThrow(await client.tables.todos.insert({ id, title: id, done: false }));
    }
    unwrapOrThrow(await client.syncOnce());
    await eyes.sees('[data-tab="rejected"] .count', "2");
    eyes.tab("rejected");
    await eyes.sees(".card", "todos / b");
    assert(eyes.texts(".card").every((text) => text.includes("FORBIDDEN_WRITE")));
    eyes.click(".card:first-child button", "Drop");
    await eyes.seesNo(".card", "todos / b");
    gateway.reject = () => undefined;
    eyes.click(".card button", "Retry");
    await eyes.sees(".empty", "No dead letters");
    assertEquals(client.status.outbox, 1);
    unwrapOrThrow(await client.syncOnce());
    assertEquals([...gateway.visible("todos").keys()], ["a"]);
    await eyes.until("no count", () => eyes.all('[data-tab="rejected"] .count').length === 0);
  }));

test("a letter that cannot be made again says why, and stays", () =>
  withPage(async (eyes) => {
    const { client, gateway } = eyes.page;
    gateway.append([foreign("r", { title: "t", done: false })]);
    unwrapOrThrow(await client.syncOnce());
    gateway.reject = () => "FORBIDDEN_WRITE";
    unwrapOrThrow(await client.tables.todos.update("r", { title: "mine" }));
    unwrapOrThrow(await client.syncOnce());
    gateway.append([foreign("r", {}, { op: "DELETE" })]);
    unwrapOrThrow(await client.syncOnce());
    eyes.tab("rejected");
    await eyes.sees(".card", "todos / r");
    eyes.click("button", "Retry all");
    await eyes.sees('[role="status"]', "r");
    assertEquals(unwrapOrThrow(await client.rejected.list()).length, 1);
  }));

test("the time line has own deltas and those that came, and of a late one just what is new", () =>
  withPage(async (eyes) => {
    const { client, gateway } = eyes.page;
    const before = { afterMs: -7_200_000 };
    gateway.append([
      foreign("r", { title: "t", done: false }, before),
      foreign("s", { title: "s", done: true }, before),
    ]);
    unwrapOrThrow(await client.syncOnce());
    eyes.tab("timeline");
    await eyes.sees(".row", "any number of rows");
    unwrapOrThrow(await client.tables.todos.update("r", { title: "mine" }));
    await eyes.sees(".row .way.own", "↑");
    // What came with the checkpoint is not new because somebody writes beside it.
    assertEquals(
      eyes.all(".way.got").length,
      eyes.texts(".row").filter((t) => t.includes("MANY")).length,
    );
    gateway.append([foreign("r", { done: true }, { op: "UPDATE", afterMs: 500 })]);
    // Made offline, an hour ago.
    gateway.append([
      foreign("s", { rank: 7 }, {
        op: "UPDATE",
        clientId: "sub:late",
        afterMs: -3_600_000,
      }),
    ]);
    unwrapOrThrow(await client.syncOnce());
    await eyes.sees(".row", "done true");
    await eyes.sees(".row", "rank 7");
    await eyes.sees(".row", "late");
    gateway.append([foreign("s", {}, { op: "DELETE", afterMs: 600 })]);
    unwrapOrThrow(await client.syncOnce());
    await eyes.sees(".row", "GONE");
    const side = eyes.root.querySelector("select")!;
    side.value = "own";
    side.dispatchEvent(new Event("change"));
    await eyes.seesNo(".row", "GONE");
    assertEquals(eyes.texts(".row .badge:nth-child(3)"), ["UPDATE"]);
    eyes.click(".row", "todos / r");
    await eyes.sees(".detail h3", "r");
  }));

test("the sync log tells of checkpoints, pages, pushes and errors, the same ones together", () =>
  withPage(async (eyes) => {
    const { client, gateway } = eyes.page;
    eyes.tab("log");
    gateway.append([foreign("r", { title: "t", done: false })]);
    unwrapOrThrow(await client.syncOnce());
    await eyes.sees(".log .checkpoint", "Took 1 row, now at 1");
    unwrapOrThrow(await client.tables.todos.update("r", { title: "mine" }));
    unwrapOrThrow(await client.syncOnce());
    await eyes.sees(".log .push", "1 delta accepted");
    gateway.fault = () => ({
      fault: "error",
      error: new LakeSyncError("CONFLICT", "Put the schema to the gateway first"),
    });
    for (let i = 0; i < 3; i++) await client.syncOnce();
    await eyes.sees(".log .error", "CONFLICT Put the schema to the gateway first");
    await eyes.sees(".log .error", "×3");
    await eyes.sees(".state", "blocked: schema");
    await eyes.sees(".log .status", "Blocked by: schema");
  }));

test("storage tells where the data is, how large it is and how sync stands", () =>
  withPage(async (eyes) => {
    const { client } = eyes.page;
    unwrapOrThrow(await client.tables.todos.insert({ title: "t", done: false }));
    unwrapOrThrow(await client.syncOnce());
    eyes.tab("storage");
    await eyes.sees(".card", "a database that the app opened");
    await eyes.sees(".card", client.clientId);
    await eyes.until(
      "sizes",
      () =>
        /Database\d+ KB/.test(eyes.texts(".card")[0]!) &&
        /The origin uses[\d.]+ \w+ of [\d.]+ GB/.test(eyes.texts(".card")[0]!),
    );
    await eyes.sees(".card", "todos1 row");
    await eyes.sees(".card", "Settled deltas kept1");
  }));
