/** The to-do app with its gateway, and browsers that use it. */
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { type Client, createClient } from "@lakesync/client";
import { unwrapOrThrow } from "@lakesync/core";
import { type RunningServer, type ServerOptions, startServer } from "@lakesync/deploy";
import { signToken } from "@lakesync/gateway";
import { findChromium, startChromium, withTempDir } from "@lakesync/testing";
import { TODO_PATH, todoPages } from "../pages.ts";
import { rules } from "../rules.ts";
import { SAMPLE, writeLists } from "../sample.ts";
import { nameOf, PEOPLE, type Person, tables } from "../tables.ts";

/** What the tests' gateway verifies tokens with. */
export const SECRET = "the-secret-of-the-todo-app's-tests-32-bytes";

/** The app and its gateway. */
export interface World {
  readonly url: string;
  /** A browser of its own, signed in as somebody, with the app open. */
  device(person: Person, options?: VisitOptions): Promise<Page>;
  /** A browser of its own that has opened the app and not signed in. */
  visitor(options?: VisitOptions): Promise<Page>;
  /** Stops the server, and starts it again on the same port and data; options may be others then. */
  restart(between: () => Promise<void>, options?: Partial<ServerOptions>): Promise<void>;
  /**
   * While the server is stopped: changes data as somebody on a gateway elsewhere, which no browser
   * reaches.
   */
  elsewhere(
    person: Person,
    change: (client: Client<typeof tables>) => Promise<void>,
  ): Promise<void>;
}

/** How a browser comes to the app. */
export interface VisitOptions extends BrowserContextOptions {
  /** Where the server is, for this browser. */
  readonly through?: string;
}

/** Why these tests are skipped here, where they are. */
export const skip: string | undefined = (await findChromium()).skip;

/** Runs the app, with what Ann and Ben have in it. */
export async function withApp(use: (world: World) => Promise<void>): Promise<void> {
  await withTempDir(async (directory) => {
    const options: ServerOptions = {
      data: join(directory, "data"),
      tables: tables.map(({ schema }) => schema),
      rules,
      auth: { secrets: [SECRET] },
      pages: todoPages({ secret: SECRET }),
    };
    let server: RunningServer = unwrapOrThrow(await startServer(options));
    const { url } = server;
    for (const { id } of PEOPLE) {
      const getToken = () => signToken({ sub: id, gw: "default" }, { secret: SECRET });
      await writeLists(id, SAMPLE, { url, getToken });
    }
    const browser = await startChromium((await findChromium()).program!);
    const faults: string[] = [];
    const visitor = ({ through = url, ...how }: VisitOptions = {}) =>
      visit(browser, through, { faults, ...how });
    try {
      await use({
        url: url + TODO_PATH,
        visitor,
        async device(person, how) {
          const page = await visitor(how);
          await page.getByRole("button", { name: `I am ${nameOf(person)}` }).click();
          await page.locator("#status", { hasText: "Synced" }).waitFor();
          return page;
        },
        async restart(between, other = {}) {
          await server.stop();
          await between();
          const port = Number(new URL(url).port);
          server = unwrapOrThrow(await startServer({ ...options, ...other, port }));
        },
        async elsewhere(person, change) {
          const other = unwrapOrThrow(await startServer(options));
          const client = unwrapOrThrow(
            await createClient({
              tables,
              database: ":memory:",
              url: other.url,
              clientId: `${person}:elsewhere`,
              getToken: () => signToken({ sub: person, gw: "default" }, { secret: SECRET }),
              sync: { auto: false },
            }),
          );
          unwrapOrThrow(await client.syncOnce());
          await change(client);
          unwrapOrThrow(await client.syncOnce());
          await client.close();
          await other.stop();
        },
      });
      if (faults.length > 0) throw new Error(faults.join("\n"));
    } finally {
      await browser.close();
      await server.stop();
    }
  });
}

async function visit(
  browser: Browser,
  url: string,
  { faults, ...options }: BrowserContextOptions & { faults: string[] },
): Promise<Page> {
  const page = await (await browser.newContext(options)).newPage();
  // On a machine that is busy with other things.
  page.setDefaultTimeout(90_000);
  page.on("pageerror", (error) => faults.push(`In the page: ${error.message}`));
  await page.goto(url + TODO_PATH);
  return page;
}

/** The row of a to-do. */
export function row(page: Page, title: string): ReturnType<Page["getByRole"]> {
  return page.getByRole("listitem").filter({
    has: page.getByRole("button", { name: `Edit ${title}`, exact: true }),
  });
}

/** Opens a list. */
export async function openList(page: Page, title: string): Promise<void> {
  await page.getByRole("navigation").getByText(title, { exact: true }).click();
  await page.getByRole("heading", { name: title, level: 2 }).waitFor();
}

/** Adds a to-do to the open list. */
export async function add(page: Page, title: string): Promise<void> {
  await page.getByLabel("Add a to-do").fill(title);
  await page.keyboard.press("Enter");
  await row(page, title).waitFor();
}
