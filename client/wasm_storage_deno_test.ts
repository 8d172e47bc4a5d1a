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

/** A page with a writer. `next()` gives its reports in turn. */
async function writerPage(
  context: BrowserContext,
  url: string,
): Promise<
  { page: Page; start(order: WriterOrder): Promise<void>; next(): Promise<WriterReport> }
> {
  const page = await context.newPage();
  const reports: WriterReport[] = [];
  let wake: () => void = () => {};
  await page.exposeFunction("tellTest", (report: WriterReport) => {
    reports.push(report);
    wake();
  });
  await page.goto(url);
  await page.evaluate(`import("/client/testdata/wasm_page_browser.ts")`);
  return {
    page,
    start: (order) => page.evaluate(`startWriter(${JSON.stringify(order)})`),
    async next() {
      while (reports.length === 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await promise;
      }
      return reports.shift()!;
    },
  };
}

function found(report: WriterReport): number {
  assert("found" in report, JSON.stringify(report));
  assertEquals(report.faults, []);
  return report.found;
}

const CRASHES = 50;

/** Chromium gives each of the files a mebibyte before its first byte. */
const QUOTAS = { opfs: 12_000_000, indexeddb: 2_000_000 } as const;

for (const storage of ["opfs", "indexeddb"] as const) {
  test({
    name: `a page that crashes in mid-write ${CRASHES} times loses nothing answered (${storage})`,
    skip,
    timeoutMs: 300_000,
  }, () =>
    withBrowser(async (context, { url }) => {
      const prng = new Prng(42);
      let confirmed = 0;
      for (let crash = 0; crash <= CRASHES; crash++) {
        const { page, start, next } = await writerPage(context, `${url}/blank`);
        await start({ name: "crashed", storage });
        const there = found(await next());
        assert(there >= confirmed, `${confirmed} was answered, ${there} was found`);
        const answers = prng.int(1, 20);
        for (let i = 0; i < answers; i++) {
          const report = await next();
          assert("confirmed" in report, JSON.stringify(report));
          confirmed = report.confirmed;
        }
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
      assertEquals(found(await next()), 0);
      let confirmed = 0;
      let report = await next();
      for (; "confirmed" in report; report = await next()) confirmed = report.confirmed;
      assert("failed" in report);
      assertEquals(report.code, "STORAGE_ERROR");
      assertStringIncludes(report.failed, "is full, make room and try again");
      assert(confirmed > 10, `${confirmed} were written`);

      // Once more: it is still full, and what was answered is all there.
      await start(order);
      assertEquals(found(await next()), confirmed);
      for (report = await next(); "confirmed" in report; report = await next()) {
        confirmed = report.confirmed;
      }
      assert("failed" in report);

      // With room it goes on by itself.
      await setQuota();
      await start(order);
      assertEquals(found(await next()), confirmed);
      assertEquals(await next(), { confirmed: confirmed + 1 });
      await page.close();
    }));

  test({
    name: `a page whose policy allows no eval opens a database (${storage})`,
    skip,
  }, () =>
    withBrowser(async (context, { url }) => {
      const { start, next } = await writerPage(context, `${url}/strict`);
      await start({ name: "strict", storage });
      assertEquals(found(await next()), 0);
      assertEquals(await next(), { confirmed: 1 });
    }));
}
