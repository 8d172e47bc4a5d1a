import {
  findChromium,
  html,
  Prng,
  servePages,
  startChromiumOn,
  test,
  type TestServer,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { BrowserContext, Page } from "playwright-core";
import type { WriterOrder, WriterReport } from "./testdata/wasm_writer_browser.ts";

const { program, skip } = await findChromium();

/** A browser whose data are on disk, and a server of pages for it. */
async function withBrowser(
  use: (context: BrowserContext, server: TestServer) => Promise<void>,
): Promise<void> {
  await using server = await servePages({
    handler: (request) => {
      if (new URL(request.url).pathname !== "/strict") return undefined;
      const { headers, body } = html("");
      headers.set(
        "Content-Security-Policy",
        "default-src 'self' 'wasm-unsafe-eval'; img-src data:",
      );
      return new Response(body, { headers });
    },
  });
  await withTempDir(async (dir) => {
    const context = await startChromiumOn(program!, dir);
    try {
      await use(context, server);
    } finally {
      await context.close();
    }
  });
}

/** A page with a writer for each database. `next()` gives the reports of one in turn. */
interface WriterPage {
  readonly page: Page;
  start(order: WriterOrder, answers?: number): Promise<void>;
  next(name: string): Promise<WriterReport>;
}

async function writerPage(context: BrowserContext, url: string): Promise<WriterPage> {
  const page = await context.newPage();
  const told = new Map<string, WriterReport[]>();
  let heard = Promise.withResolvers<void>();
  await page.exposeFunction("tellTest", (name: string, report: WriterReport) => {
    const reports = told.get(name);
    if (reports === undefined) told.set(name, [report]);
    else reports.push(report);
    heard.resolve();
    heard = Promise.withResolvers();
  });
  await page.goto(url);
  await page.evaluate(`import("/client/testdata/wasm_page_browser.ts").then(() => undefined)`);
  return {
    page,
    start: (order, answers) => page.evaluate(`startWriter(${JSON.stringify(order)}, ${answers})`),
    async next(name) {
      for (;;) {
        const report = told.get(name)?.shift();
        if (report !== undefined) return report;
        await heard.promise;
      }
    },
  };
}

function found(report: WriterReport): number {
  assert("found" in report, JSON.stringify(report));
  assertEquals(report.faults, []);
  return report.found;
}

/** So often a page crashes, and with it so many writers, each in the middle of its work. */
const CRASHES = 7;
const WRITERS = 8;

/** Chromium gives each of the files a mebibyte before its first byte. */
const QUOTAS = { opfs: 12_000_000, indexeddb: 2_000_000 } as const;

for (const storage of ["opfs", "indexeddb"] as const) {
  test({
    name: `writers that a crash of their page ends in mid-write ${
      CRASHES * WRITERS
    } times lose nothing answered (${storage})`,
    skip,
    timeoutMs: 300_000,
  }, () =>
    withBrowser(async (context, { url }) => {
      const prng = new Prng(42);
      const confirmed = new Array<number>(WRITERS).fill(0);
      for (let crash = 0; crash <= CRASHES; crash++) {
        const { page, start, next } = await writerPage(context, `${url}/blank`);
        await Promise.all(confirmed.map(async (before, i) => {
          const name = `crashed-${i}`;
          const answers = prng.int(1, 20);
          await start({ name, storage, keep: 200 }, answers);
          const there = found(await next(name));
          assert(there >= before, `${before} was answered, ${there} was found`);
          for (let n = 0; n < answers; n++) {
            const report = await next(name);
            assert("confirmed" in report, JSON.stringify(report));
            confirmed[i] = report.confirmed;
          }
        }));
        const session = await context.newCDPSession(page);
        const crashed = page.waitForEvent("crash");
        session.send("Page.crash").catch(() => {});
        await crashed;
        await page.close();
      }
    }));

  test({
    name:
      `where the browser's room is full, writes fail with the next step and lose nothing (${storage})`,
    skip,
  }, () =>
    withBrowser(async (context, { url }) => {
      const { page, start, next } = await writerPage(context, `${url}/blank`);
      const session = await context.newCDPSession(page);
      const setQuota = (quotaSize?: number): Promise<unknown> =>
        session.send("Storage.overrideQuotaForOrigin", {
          origin: url,
          ...(quotaSize !== undefined && { quotaSize }),
        });
      await setQuota(QUOTAS[storage]);
      const order = { name: "full", storage };
      await start(order);
      assertEquals(found(await next(order.name)), 0);
      let confirmed = 0;
      let report = await next(order.name);
      for (; "confirmed" in report; report = await next(order.name)) confirmed = report.confirmed;
      assert("failed" in report);
      assertEquals(report.code, "STORAGE_ERROR");
      assertStringIncludes(report.failed, "is full, make room and try again");
      assert(confirmed > 10, `${confirmed} were written`);

      // Once more: it is still full, and what was answered is all there.
      await start(order);
      assertEquals(found(await next(order.name)), confirmed);
      for (
        report = await next(order.name);
        "confirmed" in report;
        report = await next(order.name)
      ) {
        confirmed = report.confirmed;
      }
      assert("failed" in report);

      // With room it goes on by itself.
      await setQuota();
      await start(order);
      assertEquals(found(await next(order.name)), confirmed);
      assertEquals(await next(order.name), { confirmed: confirmed + 1 });
      await page.close();
    }));

  test({
    name: `a page whose policy allows no eval opens a database (${storage})`,
    skip,
  }, () =>
    withBrowser(async (context, { url }) => {
      const { start, next } = await writerPage(context, `${url}/strict`);
      const order = { name: "strict", storage };
      await start(order);
      assertEquals(found(await next(order.name)), 0);
      assertEquals(await next(order.name), { confirmed: 1 });
    }));
}
