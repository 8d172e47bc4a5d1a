/** The devtools in a page of their own: fingers, keys, small screens, a worker's database, memory. */
import { findChromium, servePages, startChromium, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import type { BrowserContextOptions, Page } from "playwright-core";

const { program, skip } = await findChromium();
const DEMO = "/client/devtools/testdata/demo_browser.ts";

/** Opens a page with the demo's module in it. */
async function withPage(
  options: BrowserContextOptions,
  body: (page: Page) => Promise<void>,
): Promise<void> {
  await using server = await servePages();
  const browser = await startChromium(program!);
  try {
    const page = await (await browser.newContext(options)).newPage();
    const faults: string[] = [];
    page.on("pageerror", ({ message }) => faults.push(message));
    await page.goto(`${server.url}/blank`);
    await page.evaluate((demo) => import(demo).then(() => undefined), DEMO);
    await body(page);
    assertEquals(faults, []);
  } finally {
    await browser.close();
  }
}

async function openDemo(page: Page): Promise<void> {
  await page.evaluate("openDemo().then((demo) => { globalThis.demo = demo; })");
}

test({
  name: "on a phone the devtools fit, a row fills them, and a finger pulls them up",
  skip,
}, () =>
  withPage({ viewport: { width: 390, height: 844 }, hasTouch: true }, async (page) => {
    await openDemo(page);
    const devtools = page.locator("lakesync-devtools");
    await devtools.locator(".row", { hasText: "row-003" }).tap();
    const detail = await devtools.locator(".detail").boundingBox();
    assertEquals(detail?.width, 390);
    await devtools.getByLabel("Close the row").tap();
    for (const name of ["outbox", "rejected", "timeline", "log", "storage", "data"]) {
      await devtools.locator(`[data-tab="${name}"]`).tap();
      const selected = devtools.locator(`[data-tab="${name}"][aria-selected="true"]`);
      await selected.waitFor();
      const width = await page.evaluate("document.scrollingElement.scrollWidth");
      assertEquals(width, 390, name);
    }
    const dock = devtools.locator(".dock");
    const before = (await dock.boundingBox())!;
    const edge = (await devtools.locator(".edge").boundingBox())!;
    const at = { x: edge.x + 100, y: edge.y + 5 };
    await page.mouse.move(at.x, at.y);
    await page.mouse.down();
    await page.mouse.move(at.x, at.y - 90, { steps: 3 });
    await page.mouse.up();
    const after = (await dock.boundingBox())!;
    assert(Math.abs(after.height - before.height - 90) < 8, `${before.height} → ${after.height}`);
    await page.mouse.move(at.x, 300);
    assertEquals((await dock.boundingBox())!.height, after.height);
  }));

test(
  { name: "keys alone lead from the button in the corner to why a value won", skip },
  () =>
    withPage({}, async (page) => {
      await openDemo(page);
      await page.evaluate("demo.devtools.open = false");
      const devtools = page.locator("lakesync-devtools");
      const active = () =>
        page.evaluate<string>(
          "(() => { const a = demo.devtools.shadowRoot.activeElement; return a ? a.className || a.textContent : ''; })()",
        );
      await page.keyboard.press("Tab");
      assertEquals(await active(), "launcher");
      await page.keyboard.press("Enter");
      await devtools.locator(".row", { hasText: "row-003" }).waitFor();
      for (let i = 0; i < 12 && await active() !== "list"; i++) await page.keyboard.press("Tab");
      assertEquals(await active(), "list");
      for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await devtools.locator(".detail h3", { hasText: "row-003" }).waitFor();
      // Past the button that closes the row.
      for (let i = 0; i < 2; i++) await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await devtools.locator("details[open] .why", { hasText: "It has the later stamp" }).waitFor();
      await page.keyboard.press("Escape");
      await devtools.locator(".detail").waitFor({ state: "hidden" });
      assertEquals(await active(), "list");
      await page.keyboard.press("Escape");
      assertEquals(await active(), "launcher");
    }),
);

test(
  { name: "a database that a worker has is shown like any other", skip },
  () =>
    withPage({}, async (page) => {
      await page.evaluate("openStored()");
      const devtools = page.locator("lakesync-devtools");
      await devtools.locator(".row", { hasText: "On disk" }).waitFor();
      await devtools.locator(".row", { hasText: "On disk" }).click();
      await devtools.locator(".detail h3", { hasText: "kept" }).waitFor();
      await devtools.locator('[data-tab="storage"]').click();
      await devtools.locator(".card", { hasText: /file system|IndexedDB/ }).waitFor();
    }),
);

test(
  { name: "nothing is left of the devtools after they were taken out of the page", skip },
  () =>
    withPage({}, async (page) => {
      await openDemo(page);
      const devtools = page.locator("lakesync-devtools");
      for (const name of ["outbox", "rejected", "timeline", "log", "storage", "data"]) {
        await devtools.locator(`[data-tab="${name}"]`).click();
      }
      await devtools.locator(".row", { hasText: "row-003" }).click();
      await page.evaluate(`{
      const { devtools, client, gateway, database } = demo;
      devtools.remove();
      globalThis.kept = { client, gateway, database };
      globalThis.gone = [devtools, devtools.shadowRoot].map((object) => new WeakRef(object));
      demo = undefined;
    }`);
      const cdp = await page.context().newCDPSession(page);
      const isGone = async (): Promise<boolean> => {
        await cdp.send("HeapProfiler.collectGarbage");
        return await page.evaluate<boolean>("gone.every((ref) => ref.deref() === undefined)");
      };
      // What the last refresh waits for has to come to its end first.
      for (let i = 0; i < 40 && !await isGone(); i++) {
        await page.evaluate("new Promise((resolve) => setTimeout(resolve, 50))");
      }
      assert(await isGone());
    }),
);
