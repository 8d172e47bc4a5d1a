import type { BrowserContext, Page } from "playwright-core";
import type { TabApi } from "./testdata/tab_browser.ts";
import { servePages, type ServePagesOptions } from "./browser/pages.ts";
import { findChromium, startChromiumOn } from "./browser/chromium.ts";
import type { TestServer } from "./serve.ts";
import { withTempDir } from "./temp.ts";

/** How a tab opens its client. */
export type OpenTab = Parameters<TabApi["open"]>[0];

/** The modules of the app that tabs of the tests are. */
const APP = "/testing/testdata/tab_browser.ts";

/** A tab of an app, in a real browser. */
export class TabPage {
  /** Its page. */
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
  }

  /** Loads the app in a new tab. */
  static async load(context: BrowserContext, server: TestServer): Promise<TabPage> {
    const page = await context.newPage();
    page.on("pageerror", (error) => console.error(`  page: ${error.message}`));
    await page.goto(`${server.url}/blank`);
    await page.evaluate((app) => import(app).then(() => undefined), APP);
    return new TabPage(page);
  }

  /** Runs an expression over `tab` (a `TabApi`). */
  run<T = unknown>(expression: string): Promise<T> {
    return this.page.evaluate<T>(expression);
  }

  /** Opens its client; the error, where it cannot. */
  open(options: OpenTab): Promise<string | undefined> {
    return this.run(`tab.open(${JSON.stringify(options)})`);
  }

  /** Adds a row; the error, where it cannot. */
  insert(id: string, n = 0): Promise<string | undefined> {
    return this.run(`tab.insert(${JSON.stringify(id)}, ${n})`);
  }

  /** The rows of a query, each as a list. */
  query(sql: string): Promise<unknown[][]> {
    return this.run(`tab.query(${JSON.stringify(sql)})`);
  }

  /** Resolves when a query gives this. */
  shows(sql: string, expected: unknown): Promise<void> {
    return this.run(`tab.shows(${JSON.stringify(sql)}, ${JSON.stringify(expected)})`);
  }
}

/** A browser that keeps its data on disk, and the server of its pages. */
export interface TestBrowser {
  readonly context: BrowserContext;
  readonly server: TestServer;
  /** A tab with a client in it. Throws where it cannot be opened. */
  tab(options: OpenTab): Promise<TabPage>;
}

/** Gives a test a browser of its own, where one is installed. */
export async function withBrowser(
  use: (browser: TestBrowser) => Promise<void>,
  options: ServePagesOptions = {},
): Promise<void> {
  const { program, skip } = await findChromium();
  if (program === undefined) throw new Error(skip);
  await using server = await servePages(options);
  await withTempDir(async (directory) => {
    const context = await startChromiumOn(program, directory);
    const tab = async (options: OpenTab): Promise<TabPage> => {
      const page = await TabPage.load(context, server);
      const failed = await page.open(options);
      if (failed !== undefined) throw new Error(failed);
      return page;
    };
    try {
      await use({ context, server, tab });
    } finally {
      await context.close();
    }
  });
}

/** Why tests in a browser are skipped here, where they are. */
export async function noBrowser(): Promise<string | undefined> {
  return (await findChromium()).skip;
}
