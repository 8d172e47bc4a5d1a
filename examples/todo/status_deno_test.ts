/** What the to-do app says where sync does not just work: the words, and the next step. */
import type { Page } from "playwright-core";
import { assert, assertEquals } from "@std/assert";
import { createClient } from "@lakesync/client";
import { unwrapOrThrow } from "@lakesync/core";
import type { Pages } from "@lakesync/deploy";
import { signToken } from "@lakesync/gateway";
import { test } from "@lakesync/testing";
import { todoPages } from "./pages.ts";
import { tables } from "./tables.ts";
import { add, openList, row, SECRET, skip, withApp } from "./testdata/app.ts";
import { openGate } from "./testdata/gate.ts";

/** What the sign in the bar says, and then the panel behind it. */
interface Words {
  readonly sign: RegExp;
  readonly panel: readonly string[];
}

/** Waits until they say this. */
async function says(page: Page, words: Words): Promise<void> {
  await page.locator("#status-words", { hasText: words.sign }).waitFor();
  await page.locator("#status").click();
  const panel = page.getByRole("dialog", { name: "Sync" });
  for (const text of words.panel) await panel.getByText(text).waitFor();
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
}

test({
  name: "a device that is behind says by how many changes, until it has them",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(async ({ url, device }) => {
    const { origin } = new URL(url);
    await using gate = await openGate(origin);
    const ann = await device("ann", { through: gate.url });
    const ben = unwrapOrThrow(
      await createClient({
        tables,
        database: ":memory:",
        url: origin,
        clientId: "ben:bulk",
        getToken: () => signToken({ sub: "ben", gw: "default" }, { secret: SECRET }),
        sync: { auto: false },
      }),
    );
    unwrapOrThrow(await ben.syncOnce());
    // Each a transaction, and so a page by itself: of what packs badly.
    for (let lot = 0; lot < 8; lot++) {
      const made = Array.from({ length: 200 }, () => ({
        list: "groceries",
        title: Array.from({ length: 5 }, () => crypto.randomUUID()).join(" "),
        done: true,
        person: "ben",
        created: new Date(0),
      }));
      unwrapOrThrow(await ben.tables.todos.insertMany(made));
    }
    // Some of the pages.
    gate.hold(400_000);
    unwrapOrThrow(await ben.syncOnce());
    await ann.locator("#status-words", { hasText: /^\d+ behind$/ }).waitFor();
    const [, count] = /^(\d+) behind$/.exec(await ann.locator("#status-words").innerText()) ?? [];
    assert(Number(count) > 0 && Number(count) < 1_600, `${count} behind`);
    await says(ann, {
      sign: /^\d+ behind$/,
      panel: [`${count} changes of others are still to come.`],
    });
    gate.release();
    await says(ann, {
      sign: /^Synced$/,
      panel: ["This device and the server have the same data."],
    });
    await ben.close();
  }));

test({
  name: "a token that is not taken any more is told with the next step, and what waits stays",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(async ({ device, restart }) => {
    const ann = await device("ann");
    await openList(ann, "Groceries");
    // The pages go on signing by the secret that was.
    await restart(() => add(ann, "Rice"), { auth: { secrets: [`another ${SECRET}`] } });
    await says(ann, {
      sign: /^Blocked · 1 to send$/,
      panel: [
        "The server does not take the sign-in any more. Changes wait here; ask whoever runs it.",
      ],
    });
    await add(ann, "Beans");
    await ann.locator("#status", { hasText: "Blocked · 2 to send" }).waitFor();
    await restart(async () => {});
    await ann.locator("#status", { hasText: "Synced" }).waitFor();
    await row(ann, "Rice").waitFor();
  }));

test({
  name: "somebody who is not let in any more, and a server without the tables, are named",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(async ({ device, restart }) => {
    const ann = await device("ann");
    await openList(ann, "Groceries");
    // With another secret the present token is refused: the sign-in gives the next one, of elsewhere.
    await restart(() => add(ann, "Rice"), {
      auth: { secrets: [OTHER] },
      pages: signingFor("elsewhere"),
    });
    await says(ann, {
      sign: /^Blocked · 1 to send$/,
      panel: ["The server does not let you use these lists. Ask whoever runs it."],
    });
    await restart(async () => {}, { gateways: ["other"] });
    await says(ann, {
      sign: /^Blocked · 1 to send$/,
      panel: ["What answers at this address is not a server for this app. Ask whoever runs it."],
    });
    await restart(async () => {});
    await ann.locator("#status", { hasText: "Synced" }).waitFor();
  }));

const OTHER = "another-secret-of-the-todo-app's-tests-32-bytes";

/** The app's pages, whose sign-in gives tokens for another gateway. */
function signingFor(gw: string): Pages {
  const pages = todoPages({ secret: OTHER });
  return async (request) => {
    if (!new URL(request.url).pathname.endsWith("/sign-in")) return await pages(request);
    const { person } = await request.json() as { person: string };
    return Response.json({ token: await signToken({ sub: person, gw }, { secret: OTHER }) });
  };
}

test({
  name: "a clock that is a day ahead blocks nothing: what was written goes out, and others go on",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(async ({ device, visitor }) => {
    const ben = await device("ben");
    await openList(ben, "Groceries");
    const ann = await visitor();
    // The worker has a clock of its own: its script is preceded by the shift.
    await ann.context().addInitScript(SHIFT);
    await ann.context().route(/lakesync-worker\.js$/, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `${SHIFT}\n${await response.text()}` });
    });
    await ann.reload();
    await ann.getByRole("button", { name: "I am Ann" }).click();
    await ann.locator("#status", { hasText: "Synced" }).waitFor();
    assert(await ann.evaluate(() => Date.now()) > Date.now() + 8e7);
    await openList(ann, "Groceries");
    await add(ann, "From tomorrow");
    await row(ben, "From tomorrow").waitFor();
    await row(ben, "From tomorrow").getByRole("checkbox").check();
    await ann.getByRole("list", { name: "Done · 2" }).getByText("From tomorrow").waitFor();
    await says(ann, {
      sign: /^Synced$/,
      panel: ["This device and the server have the same data."],
    });
    assertEquals(await ann.locator("#banner").isVisible(), false);
  }));

const SHIFT = "{ const now = Date.now.bind(Date); Date.now = () => now() + 864e5; }";

test({
  name:
    "where the browser's room is full a change is refused with the next step, and its words stay",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(async ({ url, device }) => {
    const ann = await device("ann");
    await openList(ann, "Groceries");
    const cdp = await ann.context().newCDPSession(ann);
    const { origin } = new URL(url);
    await cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1 });
    const toast = ann.locator(".toast");
    const field = ann.getByLabel("Add a to-do");
    // The files have some room of their own.
    const long = "Something long ".repeat(13).trim();
    let written = 0;
    while (!await toast.isVisible()) {
      await field.fill(`${long} ${written}`);
      await ann.keyboard.press("Enter");
      await toast.or(row(ann, `${long} ${written}`)).first().waitFor();
      written++;
    }
    const told = await toast.innerText();
    assert(told.includes("is full, make room and try again"), told);
    assertEquals(await field.inputValue(), `${long} ${written - 1}`);
    await cdp.send("Storage.overrideQuotaForOrigin", { origin });
    await field.press("Enter");
    await row(ann, `${long} ${written - 1}`).waitFor();
    await ann.locator("#status", { hasText: "Synced" }).waitFor();
  }));
