/** Tabs of an app in real browsers, and a real gateway. */
import { join } from "node:path";
import { type Client, createClient } from "@lakesync/client";
import {
  boolean,
  type Column,
  defineTable,
  integer,
  string,
  type Table,
  unwrapOrThrow,
} from "@lakesync/core";
import { type RunningServer, type ServerOptions, startServer } from "@lakesync/deploy";
import { assert, assertEquals } from "@std/assert";
import { seedRows } from "./_seed_rows.ts";
import { noBrowser, TabPage, type TestBrowser, withBrowser } from "./_tab_pages.ts";
import { withTempDir } from "./temp.ts";
import { test } from "./test.ts";

const skip = await noBrowser();

const todos: Table<"todos", {
  title: Column<string, string>;
  n: Column<number, number | bigint>;
  done: Column<boolean, boolean>;
}> = defineTable("todos", { title: string(), n: integer(), done: boolean() });

const COUNT = "SELECT count(*), sum(n), sum(done) FROM todos";

interface World extends TestBrowser {
  readonly url: string;
  /** Stops the gateway, and starts it again on the same port and data. */
  restart(between: () => Promise<void>): Promise<void>;
  /** A client on Deno. */
  device(): Promise<Client<readonly [typeof todos]>>;
}

function withWorld(use: (world: World) => Promise<void>): Promise<void> {
  return withBrowser((browser) =>
    withTempDir(async (directory) => {
      const options: ServerOptions = {
        data: join(directory, "data"),
        tables: [todos.schema],
        origins: [browser.server.url],
      };
      let gateway: RunningServer = unwrapOrThrow(await startServer(options));
      const { url } = gateway;
      const clients: Client<readonly [typeof todos]>[] = [];
      try {
        await use({
          ...browser,
          url,
          async restart(between) {
            await gateway.stop();
            await between();
            const port = Number(new URL(url).port);
            gateway = unwrapOrThrow(await startServer({ ...options, port }));
          },
          async device() {
            const database = join(directory, `device-${clients.length}.db`);
            const client = unwrapOrThrow(await createClient({ tables: [todos], database, url }));
            clients.push(client);
            return client;
          },
        });
      } finally {
        for (const client of clients) await client.close();
        await gateway.stop();
      }
    })
  );
}

/** Resolves when a client on Deno shows this. */
async function shows(client: Client<readonly [typeof todos]>, expected: unknown): Promise<void> {
  for await (const [row] of client.live(COUNT)) {
    if (JSON.stringify(Object.values(row!)) === JSON.stringify(expected)) return;
  }
}

test({
  name: "two browsers and a client on Deno converge, through a gateway that is restarted",
  timeoutMs: 180_000,
  skip,
}, () =>
  withWorld((one) =>
    withBrowser(async (two) => {
      // The other one's pages come from the first one's server: the gateway knows that origin.
      const pages = [
        await one.tab({ database: "app", url: one.url }),
        await one.tab({ database: "app", url: one.url }),
        await TabPage.load(two.context, one.server),
      ];
      assertEquals(await pages[2]!.open({ database: "app", url: one.url }), undefined);
      const device = await one.device();
      let rows = 0;
      const everyoneWrites = async (): Promise<void> => {
        for (const page of pages) assertEquals(await page.insert(`page-${rows++}`, 1), undefined);
        unwrapOrThrow(
          await device.tables.todos.insert({ id: `${rows++}`, title: "t", n: 1, done: false }),
        );
      };
      const everyoneSees = async (done: number): Promise<void> => {
        const expected = [rows, rows, done];
        for (const page of pages) await page.shows(COUNT, [expected]);
        await shows(device, expected);
      };
      await everyoneWrites();
      await everyoneSees(0);
      // What is written while there is no gateway arrives when it is back.
      await one.restart(everyoneWrites);
      await everyoneSees(0);
      unwrapOrThrow(await device.tables.todos.update("page-0", { done: true }));
      await everyoneSees(1);
    })
  ));

test({
  name: "a hundred edits made offline show at once, and sync when the network is back",
  timeoutMs: 180_000,
  skip,
}, () =>
  withWorld(async ({ tab, context, url, device, restart }) => {
    const page = await tab({ database: "app", url });
    const other = await device();
    unwrapOrThrow(
      await other.tables.todos.insert({ id: "shared", title: "t", n: 0, done: false }),
    );
    await page.shows(COUNT, [[1, 0, 0]]);
    await context.setOffline(true);
    // Playwright's switch leaves open sockets alone.
    await restart(async () => {
      for (let i = 0; i < 99; i++) assertEquals(await page.insert(`off-${i}`, 1), undefined);
      await page.run(`tab.client.tables.todos.update("shared", { done: true })`);
      assertEquals(await page.run("tab.client.status.outbox"), 100);
    });
    assertEquals(await page.query(COUNT), [[100, 99, 1]]);
    await context.setOffline(false);
    await shows(other, [100, 99, 1]);
    await page.run(
      "new Promise((resolve) => { const look = () => tab.client.status.outbox === 0 && resolve(); tab.client.on('status', look); look(); })",
    );
  }));

test({
  name: "a browser whose clock is a day ahead syncs and loses nothing",
  timeoutMs: 180_000,
  skip,
}, () =>
  withWorld(async ({ context, server, url, device }) => {
    const other = await device();
    await context.addInitScript(
      "{ const now = Date.now.bind(Date); Date.now = () => now() + 864e5; }",
    );
    const page = await TabPage.load(context, server);
    const worker = "/client/testdata/wrong_clock_worker_browser.ts";
    assertEquals(await page.open({ database: "app", url, worker }), undefined);
    assert(await page.run<number>("Date.now()") > Date.now() + 8e7);
    for (let i = 0; i < 5; i++) assertEquals(await page.insert(`ahead-${i}`, 1), undefined);
    await shows(other, [5, 5, 0]);
    // Its clock does not win over later edits of others.
    unwrapOrThrow(await other.tables.todos.update("ahead-0", { n: 7 }));
    await page.shows(COUNT, [[5, 11, 0]]);
  }));

test({
  name: "a first sync of 100,000 rows tells how far it is, and the page stays free meanwhile",
  timeoutMs: 180_000,
  skip,
}, () =>
  withWorld(async ({ context, server, url }) => {
    const rows = 100_000;
    await seedRows(url, rows);
    const page = await TabPage.load(context, server);
    await page.run(
      `void (globalThis.progress = [], globalThis.longest = 0, globalThis.last = performance.now(),
      setInterval(() => { const now = performance.now(); longest = Math.max(longest, now - last); last = now; }, 5))`,
    );
    const from = performance.now();
    assertEquals(await page.open({ database: "app", url }), undefined);
    await page.run(
      `void tab.client.on("status", ({ firstSync }) => { if (firstSync) progress.push(firstSync); })`,
    );
    await page.shows("SELECT count(*) FROM todos", [[rows]]);
    const ms = Math.round(performance.now() - from);
    const longest = Math.round(await page.run<number>("longest"));
    const progress = await page.run<{ rows: number; bytes: number }[]>("progress");
    console.log(`  ${rows} rows in ${ms} ms; the page's longest pause was ${longest} ms`);
    assert(progress.length > 5, `${progress.length} steps were told`);
    assert(progress.every(({ rows }, i) => i === 0 || rows >= progress[i - 1]!.rows));
    assert(progress.at(-1)!.rows > 0);
    assertEquals(await page.query(COUNT), [[rows, rows, rows / 2]]);
  }));
