import { assert } from "@std/assert";
import { type DevtoolsPage, openPage } from "./devtools_page_browser.ts";

/** What a person sees and does. */
export class Eyes {
  readonly page: DevtoolsPage;
  readonly root: ShadowRoot;

  constructor(page: DevtoolsPage) {
    this.page = page;
    this.root = page.devtools.shadowRoot!;
  }

  all(selector: string): HTMLElement[] {
    return [...this.root.querySelectorAll<HTMLElement>(selector)]
      .filter((element) => element.checkVisibility());
  }

  /** The texts of what is in sight. */
  texts(selector: string): string[] {
    return this.all(selector).map(({ textContent }) => textContent);
  }

  /** Waits until it is so; looks after each frame. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const from = performance.now();
    while (!isSo()) {
      if (performance.now() - from > 10_000) {
        throw new Error(`It never came: ${what}; there is: ${this.root.textContent}`);
      }
      await new Promise(requestAnimationFrame);
    }
  }

  /** Waits until a text is in sight. */
  async sees(selector: string, text: string): Promise<void> {
    await this.until(
      `"${text}" in ${selector}`,
      () => this.texts(selector).some((shown) => shown.includes(text)),
    );
  }

  async seesNo(selector: string, text: string): Promise<void> {
    await this.until(
      `no "${text}" in ${selector}`,
      () => !this.texts(selector).some((shown) => shown.includes(text)),
    );
  }

  click(selector: string, text = ""): void {
    const found = this.all(selector).find(({ textContent }) => textContent.includes(text));
    assert(found !== undefined, `there is no ${selector} with "${text}"`);
    found.click();
  }

  tab(name: string): void {
    this.click(`[data-tab="${name}"]`);
  }

  press(key: string, on: HTMLElement): void {
    on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true }));
  }
}

/** Runs a test's body on a page with devtools. */
export async function withPage(
  body: (eyes: Eyes) => Promise<void>,
  options: Parameters<typeof openPage>[0] = {},
): Promise<void> {
  const page = await openPage(options);
  try {
    await body(new Eyes(page));
  } finally {
    await page.close();
  }
}
