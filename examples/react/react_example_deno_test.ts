/** The React example in real browsers, with its gateway. */
import type { Page } from "playwright-core";
import { assertEquals } from "@std/assert";
import { findChromium, spawnScript, startChromium, test, withTempDir } from "@lakesync/testing";

const { program, skip } = await findChromium();

/** Starts the example, and gives the test pages of devices. */
async function withExample(use: (device: (name: string) => Promise<Page>) => Promise<void>) {
  await withTempDir(async (directory) => {
    await using example = spawnScript(new URL("./main.ts", import.meta.url), {
      args: ["--port", "0", "--data", directory],
    });
    const url = await example.stdoutMatch(/Sightings: (http:\S+)\n/);
    const browser = await startChromium(program!);
    const faults: string[] = [];
    try {
      const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
      await use(async (name) => {
        const page = await context.newPage();
        page.setDefaultTimeout(60_000);
        page.on("pageerror", ({ message }) => faults.push(message));
        page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
        await page.goto(`${url}?device=${name}`);
        await page.getByText("Red kite").first().waitFor();
        return page;
      });
      assertEquals(faults, []);
    } finally {
      await browser.close();
    }
    assertEquals((await example.kill("SIGTERM")).code, 0);
  });
}

/** The number beside a species in a page's totals, once it is this one. */
async function total(page: Page, species: string, birds: number): Promise<void> {
  await page.getByRole("meter", { name: `${species}: ${birds}`, exact: true }).waitFor();
}

async function add(page: Page, species: string, place: string): Promise<void> {
  await page.getByLabel("Species", { exact: true }).fill(species);
  await page.keyboard.press("Tab");
  await page.keyboard.type(place);
  await page.keyboard.press("Enter");
  await page.locator("li strong", { hasText: species }).waitFor();
}

test({
  name: "two devices show each other's sightings, also those that were made offline",
  timeoutMs: 180_000,
  skip,
}, () =>
  withExample(async (device) => {
    const [one, two] = [await device("1"), await device("2")];
    await add(one, "Bittern", "Reed bed");
    await two.getByText("Bittern").first().waitFor();
    await total(two, "Bittern", 1);

    await two.getByRole("button", { name: "Go offline" }).click();
    const kites = (page: Page) => page.locator("li", { has: page.getByText("Red kite") }).first();
    await kites(two).getByRole("button", { name: "One more" }).click();
    await two.getByText("Offline · 1 to send").waitFor();
    await total(two, "Red kite", 4);
    await add(one, "Osprey", "East shore");
    await one.getByRole("button", { name: "Remove Bittern" }).click();
    await total(one, "Red kite", 3);
    assertEquals(await two.getByText("Osprey").count(), 0);

    await two.getByRole("button", { name: "Go online" }).click();
    await two.getByText("Osprey").first().waitFor();
    await two.locator("li strong", { hasText: "Bittern" }).waitFor({ state: "detached" });
    await total(one, "Red kite", 4);
    await two.getByText("Up to date").waitFor();
  }));

test({
  name: "the search is found by a key, follows what is typed, and data is there after a reload",
  timeoutMs: 180_000,
  skip,
}, () =>
  withExample(async (device) => {
    const page = await device("1");
    await page.locator("h1").click();
    await page.keyboard.press("/");
    await page.keyboard.type("BEECH");
    const names = page.locator("li .what strong");
    await names.getByText("Red kite").waitFor({ state: "detached" });
    assertEquals((await names.allTextContents()).sort(), [
      "Eurasian nuthatch",
      "Great spotted woodpecker",
      "Long-tailed tit",
    ]);
    await page.keyboard.type("%");
    await page.getByText("Nothing with “BEECH%” in it.").waitFor();
    await page.getByRole("searchbox").fill("");
    await page.getByRole("button", { name: "Go offline" }).click();
    await add(page, "Beech marten", "Loft");
    await page.reload();
    await page.getByText("Beech marten").first().waitFor();
    await page.getByRole("button", { name: "Remove Beech marten" }).focus();
    await page.keyboard.press("Enter");
    await names.getByText("Beech marten").waitFor({ state: "detached" });
    assertEquals(
      await page.evaluate("document.activeElement.getAttribute('aria-label')"),
      "Remove Common kingfisher",
    );
    // On a phone nothing is wider than the page.
    const overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assertEquals(await page.evaluate(overflow), 0);
  }));

test({
  name:
    "without a server the app opens from its service worker, and what was made then is sent later",
  timeoutMs: 180_000,
  skip,
}, () =>
  withTempDir(async (directory) => {
    const start = (port: string) =>
      spawnScript(new URL("./main.ts", import.meta.url), {
        args: ["--port", port, "--data", directory],
      });
    const browser = await startChromium(program!);
    try {
      const page = await browser.newPage();
      await using first = start("0");
      const url = await first.stdoutMatch(/Sightings: (http:\S+)\n/);
      await page.goto(url);
      await page.getByText("Up to date").waitFor();
      await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
      await first.kill("SIGTERM");

      await page.reload();
      await page.getByText("Red kite").first().waitFor();
      await add(page, "Nightjar", "Heath");
      await page.getByText("No connection · 1 to send").waitFor();
      await page.goto(`${url}?device=1`);
      await page.getByText("Nightjar").first().waitFor();

      await using second = start(new URL(url).port);
      await second.stdoutMatch(/Sightings: (http:\S+)\n/);
      await page.getByText("Up to date").waitFor();
      await page.goto(`${url}?device=2`);
      await page.getByText("Nightjar").first().waitFor();
      await second.kill("SIGTERM");
    } finally {
      await browser.close();
    }
  }));
