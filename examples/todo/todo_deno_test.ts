/** The to-do app in real browsers, with its gateway: what people do with it. */
import { assert, assertEquals } from "@std/assert";
import { unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { add, openList, row, skip, withApp } from "./testdata/app.ts";

test({
  name:
    "what Ann adds, edits, completes, deletes and takes back, Ben sees, and neither the other's own",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(async ({ device }) => {
    const ann = await device("ann");
    const ben = await device("ben");
    await openList(ben, "Groceries");
    await openList(ann, "Groceries");

    await add(ann, "Butter");
    await row(ben, "Butter").waitFor();
    await row(ann, "Butter").getByRole("button", { name: "Edit Butter" }).click();
    await ann.keyboard.type("Salted butter");
    await ann.keyboard.press("Enter");
    await row(ben, "Salted butter").waitFor();
    await row(ben, "Salted butter").getByRole("checkbox").check();
    await ann.getByRole("list", { name: "Done · 2" }).getByText("Salted butter").waitFor();
    await row(ann, "Salted butter").hover();
    await ann.getByRole("button", { name: "Delete Salted butter" }).click();
    await row(ben, "Salted butter").waitFor({ state: "detached" });
    await ann.getByRole("button", { name: "Undo" }).click();
    await row(ben, "Salted butter").waitFor();

    const names = (page: typeof ann) => page.locator(".lists .name").allTextContents();
    assertEquals(await names(ann), ["Groceries", "A week at the lake", "Work"]);
    assertEquals(await names(ben), ["Guitar", "Groceries", "A week at the lake"]);
    // Not only not shown: it never came to the device.
    assertEquals(await ben.getByText("Slides for Thursday").count(), 0);
    await ann.getByRole("link", { name: /^Work\s*3\s+open/ }).click();
    await row(ann, "Slides for Thursday").waitFor();
    const address = new URL(ann.url()).hash;
    await ben.evaluate((hash) => location.hash = hash, address);
    await ben.getByText("This list is not here").waitFor();

    await ann.getByRole("button", { name: "Change or share the list" }).click();
    await ann.getByRole("switch", { name: "Share with Ben" }).check();
    await ann.getByRole("button", { name: "Save" }).click();
    await openList(ben, "Work");
    await row(ben, "Slides for Thursday").waitFor();
  }));

test({
  name: "a change that is not accepted is undone and told, and can be let go or tried again",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(async ({ device, restart, elsewhere }) => {
    const ben = await device("ben");
    await openList(ben, "Groceries");
    await restart(async () => {
      await row(ben, "Lemons").getByRole("checkbox").check();
      await row(ben, "Oat milk").getByRole("checkbox").check();
      await ben.locator("#status", { hasText: "Offline · 2 to send" }).waitFor();
      // Meanwhile the list is not shared with him any more.
      await elsewhere("ann", async ({ tables: { shares } }) => {
        unwrapOrThrow(await shares.delete("groceries:ben"));
      });
    });
    await ben.getByText("2 changes were not accepted, and undone.").waitFor();
    assertEquals(await ben.getByRole("link", { name: "Groceries" }).count(), 0);
    await ben.getByRole("button", { name: "Look" }).click();
    const letters = ben.getByRole("article");
    await letters.getByText("A to-do marked as done").first().waitFor();
    await letters.getByText("You may not change this list any more").first().waitFor();
    await letters.first().getByRole("button", { name: "Let it go" }).click();
    await ben.getByText("A change was not accepted, and undone.").waitFor();
    // There is nothing to change: it stays.
    await letters.getByRole("button", { name: "Try again" }).click();
    await ben.locator(".toast").waitFor();
    assertEquals(await letters.count(), 1);
    await restart(() =>
      elsewhere("ann", async ({ tables: { shares } }) => {
        unwrapOrThrow(
          await shares.insert({ id: "groceries:ben", list: "groceries", person: "ben" }),
        );
      })
    );
    await ben.getByRole("link", { name: "Groceries" }).waitFor({ state: "attached" });
    await letters.getByRole("button", { name: "Try again" }).click();
    await letters.waitFor({ state: "detached" });
    await ben.keyboard.press("Escape");
    await openList(ben, "Groceries");
    await ben.getByRole("list", { name: "Done · 2" }).waitFor();
    await ben.locator("#status", { hasText: "Synced" }).waitFor();
  }));

test({
  name: "everything can be done by keyboard alone, and the focus is never lost",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(async ({ visitor }) => {
    const page = await visitor();
    const { keyboard } = page;
    const focused = () =>
      page.evaluate(() => {
        const element = document.activeElement!;
        const style = getComputedStyle(element);
        const name = element.getAttribute("aria-label") ?? element.textContent?.trim();
        return { tag: element.tagName, name, outlined: style.outlineStyle !== "none" };
      });
    /** Presses Tab until this has the focus, and sees to it that it shows. */
    const tabTo = async (name: RegExp) => {
      for (let i = 0; i < 40; i++) {
        await keyboard.press("Tab");
        const now = await focused();
        if (now.tag === "BODY") continue;
        assert(now.outlined, `${now.tag} ${now.name} shows no focus`);
        if (name.test(now.name ?? "")) return;
      }
      throw new Error(`Tab does not come to ${name}`);
    };
    await page.getByRole("button", { name: "I am Ann" }).waitFor();
    await tabTo(/I am Ann/);
    await keyboard.press("Enter");
    await page.locator("#status", { hasText: "Synced" }).waitFor();
    await tabTo(/New list/);
    await keyboard.press("Enter");
    await keyboard.type("Reading");
    await keyboard.press("Enter");
    await page.getByRole("heading", { name: "Reading", level: 2 }).waitFor();
    await page.locator("#new:focus").waitFor();
    for (const title of ["Middlemarch", "Solaris", "Austerlitz"]) {
      await keyboard.type(title);
      await keyboard.press("Enter");
      await row(page, title).waitFor();
    }
    // On to the first one's box, and from one to the next.
    await tabTo(/^Middlemarch$/);
    await keyboard.press("ArrowDown");
    assertEquals((await focused()).name, "Solaris");
    await keyboard.press("Space");
    await page.getByRole("list", { name: "Done · 1" }).getByText("Solaris").waitFor();
    assertEquals((await focused()).name, "Austerlitz");
    await tabTo(/Edit Austerlitz/);
    await keyboard.press("Enter");
    await keyboard.type("The Rings of Saturn");
    await keyboard.press("Enter");
    await row(page, "The Rings of Saturn").waitFor();
    assertEquals((await focused()).name, "Edit The Rings of Saturn");
    await keyboard.press("Enter");
    await keyboard.type("nonsense");
    await keyboard.press("Escape");
    assertEquals((await focused()).name, "Edit The Rings of Saturn");
    await tabTo(/Delete The Rings of Saturn/);
    await keyboard.press("Enter");
    await row(page, "The Rings of Saturn").waitFor({ state: "detached" });
    assertEquals((await focused()).name, "Delete Middlemarch");
    await tabTo(/Undo/);
    await keyboard.press("Enter");
    await row(page, "The Rings of Saturn").waitFor();
    await page.locator("#status").focus();
    await keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Sync" }).waitFor();
    await keyboard.press("Escape");
    assertEquals((await focused()).tag, "BUTTON");
    assertEquals(await page.locator("#status:focus").count(), 1);
  }));

test({
  name: "on a phone nothing is wider than the screen, and what one touches is at least 44 px high",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(async ({ visitor }) => {
    const viewport = { width: 390, height: 844 };
    const page = await visitor({ viewport, isMobile: true, hasTouch: true });
    const fits = async (where: string) => {
      const faults = await page.evaluate(() => {
        const found: string[] = [];
        const { scrollWidth } = document.documentElement;
        if (scrollWidth > innerWidth) found.push(`the page is ${scrollWidth} px wide`);
        const touched = "button, a, summary, .check, .colour, .switch, input:not([type])";
        for (const element of document.querySelectorAll(touched)) {
          const { width, height, left, right } = element.getBoundingClientRect();
          const name = element.getAttribute("aria-label") ?? element.textContent;
          if (width === 0) continue;
          if (Math.round(height) < 44 || Math.round(width) < 44) {
            found.push(`${name}: ${width} × ${height}`);
          }
          if (left < 0 || right > innerWidth) found.push(`${name}: from ${left} to ${right}`);
        }
        return found;
      });
      assertEquals(faults, [], where);
    };
    await page.getByRole("button", { name: "I am Ann" }).waitFor();
    await fits("sign-in");
    await page.getByRole("button", { name: "I am Ann" }).tap();
    await page.locator("#status", { hasText: "Synced" }).waitFor();
    await fits("lists");
    await page.getByText("A week at the lake").tap();
    await page.getByRole("heading", { name: "A week at the lake" }).waitFor();
    assertEquals(await page.getByRole("navigation").isVisible(), false);
    await add(
      page,
      "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenbeschaffung, but soon",
    );
    await fits("list");
    await page.getByRole("button", { name: "Change or share the list" }).tap();
    await page.getByRole("dialog").waitFor();
    await fits("dialog of a list");
    await page.getByRole("button", { name: "Close" }).tap();
    await page.locator("#status").tap();
    await page.getByRole("dialog", { name: "Sync" }).waitFor();
    await fits("dialog of the sync");
    await page.getByRole("button", { name: "Close" }).tap();
    await page.getByRole("link", { name: "All lists" }).tap();
    await page.getByText("New list").waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: "A week at the lake" }).waitFor();
  }));
