/** The to-do app in real browsers: how it opens without a network, is renewed, left, and served. */
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import type { Pages } from "@lakesync/deploy";
import { findChromium, spawnScript, startChromium, test, withTempDir } from "@lakesync/testing";
import { todoPages } from "./pages.ts";
import { add, openList, row, SECRET, skip, withApp } from "./testdata/app.ts";

const SERVE = new URL("../../deploy/serve.ts", import.meta.url);
const EXAMPLES = new URL("../pages.ts", import.meta.url);

test({
  name:
    "offline the app opens from its service worker, takes edits, and sends them when the server is back",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(async ({ url, device, restart }) => {
    const ann = await device("ann");
    await openList(ann, "Groceries");
    await ann.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await restart(async () => {
      await ann.reload();
      await row(ann, "Lemons").waitFor();
      await ann.locator("#status", { hasText: "Offline" }).waitFor();
      await row(ann, "Lemons").getByRole("checkbox").check();
      await add(ann, "Rice");
      await ann.locator("#status", { hasText: "Offline · 2 to send" }).waitFor();
      // A second start offline has them, too; and another address of the app opens as well.
      await ann.goto(`${url}/?from=home#/`);
      await openList(ann, "Groceries");
      await row(ann, "Rice").waitFor();
      await ann.locator("#status", { hasText: "Offline · 2 to send" }).waitFor();
      await ann.getByRole("button", { name: "Offline" }).click();
      await ann.getByText("2 changes wait on this device").waitFor();
      await ann.keyboard.press("Escape");
    });
    await ann.locator("#status", { hasText: "Synced" }).waitFor();
    const ben = await device("ben");
    await openList(ben, "Groceries");
    await row(ben, "Rice").waitFor();
    assert(await row(ben, "Lemons").getByRole("checkbox").isChecked());
    const kept = await ann.evaluate(async () => {
      const requests: Request[] = [];
      for (const name of await caches.keys()) {
        requests.push(...await (await caches.open(name)).keys());
      }
      return requests.map(({ url }) => new URL(url).pathname);
    });
    assert(kept.length > 5 && kept.every((path) => path.startsWith("/examples/todo/")), `${kept}`);
    assertEquals(kept.filter((path) => path.includes("sign-in")), []);
  }));

test({
  name:
    "a newer version of the app is offered while it is open, and taken by itself when it opens anew",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(async ({ device, restart }) => {
    const ann = await device("ann");
    await ann.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    const look = (page: typeof ann) =>
      page.evaluate(async () => {
        await (await navigator.serviceWorker.getRegistration())!.update();
      });
    await restart(async () => {}, { pages: renamed("Second") });
    await look(ann);
    await ann.getByText("There is a new version of this app.").waitFor();
    await ann.getByRole("button", { name: "Load it" }).click();
    await ann.getByRole("link", { name: "Second" }).waitFor();
    await restart(async () => {}, { pages: renamed("Third") });
    await look(ann);
    await ann.getByText("There is a new version of this app.").waitFor();
    await ann.reload();
    await ann.getByRole("link", { name: "Third" }).waitFor();
    const versions = await ann.evaluate(async () => (await caches.keys()).length);
    assertEquals(versions, 1);
  }));

test({
  name: "signing out warns of what was not sent, and takes the data off the device for all tabs",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(async ({ url, device, restart }) => {
    const ann = await device("ann");
    const tab = await ann.context().newPage();
    await tab.goto(url);
    await openList(tab, "Work");
    await restart(async () => {
      await add(tab, "Never sent");
      await ann.locator("#status", { hasText: "Offline · 1 to send" }).waitFor();
      await ann.getByRole("button", { name: "Signed in as Ann" }).click();
      await ann.getByRole("button", { name: "Sign out" }).click();
      await ann.getByText("One change has not reached the server yet").waitFor();
      await ann.getByRole("button", { name: "Sign out all the same" }).click();
      for (const page of [ann, tab]) {
        await page.getByRole("button", { name: "I am Ben" }).waitFor();
      }
    });
    await ann.getByRole("button", { name: "I am Ben" }).click();
    await ann.getByText("Guitar").first().waitFor();
    assertEquals(await ann.locator(".lists .name", { hasText: "Work" }).count(), 0);
    const again = await device("ann");
    await openList(again, "Work");
    assertEquals(await row(again, "Never sent").count(), 0);
  }));

test({
  name:
    "plain serve has the app, which brings its tables and rules, but no sign-in where tokens are asked for",
  timeoutMs: 180_000,
  skip,
}, () =>
  withTempDir(async (data) => {
    const args = ["--port", "0", "--data", data, "--pages", fileURLToPath(EXAMPLES)];
    await using server = spawnScript(SERVE, { args });
    const { url } = await server.nextJson() as { url: string };
    const browser = await startChromium((await findChromium()).program!);
    try {
      const pages = [];
      for (const name of ["Ann", "Ben"]) {
        const page = await (await browser.newContext()).newPage();
        await page.goto(`${url}/examples/todo`);
        await page.getByRole("button", { name: `I am ${name}` }).click();
        await page.getByRole("button", { name: "New list" }).click();
        await page.keyboard.type(`Of ${name}`);
        await page.keyboard.press("Enter");
        await add(page, "Something");
        await page.locator("#status", { hasText: "Synced" }).waitFor();
        pages.push(page);
      }
      assertEquals(await pages[1]!.locator(".lists .name").allTextContents(), ["Of Ben"]);
      const schema = await (await fetch(`${url}/v1/admin/default/schema`)).json() as {
        tables: { table: string }[];
      };
      assertEquals(schema.tables.map(({ table }) => table).sort(), ["lists", "shares", "todos"]);
      // One that asks for tokens gets no sign-in from the page that anybody can open.
      await server.kill("SIGTERM");
      const env = { LAKESYNC_JWT_SECRET: SECRET };
      await using closed = spawnScript(SERVE, { args, env });
      const { url: other } = await closed.nextJson() as { url: string };
      const asked = await fetch(`${other}/examples/todo/sign-in`, { method: "POST", body: "{}" });
      await asked.body?.cancel();
      assertEquals(asked.status, 404);
      const page = await browser.newPage();
      await page.goto(`${other}/examples/todo`);
      await page.getByRole("button", { name: "I am Ann" }).click();
      await page.getByText("This server asks for tokens").waitFor();
      await closed.kill("SIGTERM");
    } finally {
      await browser.close();
    }
  }));

/** The app's pages as of another version: its name is another one. */
function renamed(name: string): Pages {
  const pages = todoPages({ secret: SECRET });
  return async (request) => {
    // Else there would be answers without a body.
    const asked = new Request(request);
    asked.headers.delete("if-none-match");
    const response = await pages(asked);
    if (!/html|javascript/.test(response?.headers.get("content-type") ?? "")) return response;
    const text = await response!.text();
    const changed = text.replaceAll("<h1>To-dos</h1>", `<h1>${name}</h1>`)
      .replace(/"version":"/, (found) => found + name);
    const { headers } = response!;
    headers.delete("etag");
    return new Response(changed, { headers });
  };
}
