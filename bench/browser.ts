import { join } from "node:path";
import type { Page } from "playwright-core";
import { unwrapOrThrow } from "@lakesync/core";
import { gatewayPaths, startServer } from "@lakesync/deploy";
import { findChromium, servePages, startChromiumOn } from "@lakesync/testing";
import type { BrowserPage } from "./browser_page.ts";
import { fillLog } from "./_gateway.ts";
import { type Benchmark, figureOf, measure, spread, type Target } from "./_harness.ts";
import { todos, Workload } from "./_workload.ts";

const { program } = await findChromium({ install: false });

/** Whether there is a browser to run it in. */
export const hasBrowser: boolean = program !== undefined;

/** What an app in a browser feels. */
export const browser: Benchmark = {
  name: "browser",
  about:
    "in a page of Chromium with its profile on disk: the first sync of 100,000 rows from a gateway on loopback, OPFS, until all are committed; single inserts, each until a live query (sorted, 50 rows of all) shows it; and opening that database again in a new page, until a query has its first result.",
  floor:
    "the same rows inserted into a bare table of SQLite in memory by one statement, in a worker",
  async run({ quick, directory, progress }) {
    const rows = quick ? 2_000 : 100_000;
    const writes = quick ? 20 : 300;
    const openings = quick ? 1 : 7;
    progress(`filling a log with ${rows} rows`);
    const data = join(directory, "data");
    await fillLog(gatewayPaths(data, "default").log, new Workload({ rows }).inserts(5_000));
    await using pages = await servePages();
    const gateway = unwrapOrThrow(
      await startServer({
        data,
        tables: [todos.schema],
        flushEvery: 86_400,
        origins: [pages.url],
      }),
    );
    const context = await startChromiumOn(program!, join(directory, "profile"));
    try {
      const load = async (): Promise<Page> => {
        const page = await context.newPage();
        await page.goto(`${pages.url}/blank`);
        await page.evaluate(`import("/bench/browser_page.ts").then(() => undefined)`);
        return page;
      };
      const call = <T>(page: Page, what: string): Promise<T> => page.evaluate<T>(`page.${what}`);
      let page = await load();
      let databases = 0;
      progress("first syncs");
      const rates = await measure({
        async client() {
          await call(page, "close()");
          const name = `app-${databases++}`;
          const order = `firstSync(${JSON.stringify(gateway.url)}, "${name}", ${rows})`;
          return { units: rows, seconds: await call<Seconds>(page, order) };
        },
        async bare() {
          return { units: rows, seconds: await call<Seconds>(page, `bare(${rows})`) };
        },
      }, { rounds: quick ? 1 : 5, warmUps: quick ? 0 : 1 });

      progress("single writes");
      if (!quick) await call(page, "writes(50)");
      const times = await call<Milliseconds>(page, `writes(${writes})`);

      progress("openings");
      const opened: number[] = [];
      for (let i = 0; i < openings; i++) {
        await call(page, "close()");
        await page.close();
        page = await load();
        opened.push(await call<Opening>(page, `open("app-${databases - 1}")`));
      }
      const targets: Target[] = [
        { name: "a write until it shows, p95", ...ms(percentile(times, 0.95), 16) },
        { name: "opening until the first result", ...ms(spread(opened).median, 500) },
        { name: "the slowest opening", ...ms(spread(opened).max, 500) },
      ];
      return [
        figureOf(rates, {
          name: `first sync of ${rows.toLocaleString("en")} rows in Chromium`,
          unit: "rows",
          lane: "client",
          floor: "bare",
          facts: [{ name: "a write until it shows, p50", value: spread(times).median, unit: "ms" }],
          atLeast: 30_000,
          targets,
        }),
      ];
    } finally {
      await context.close();
      await gateway.stop();
    }
  },
};

type Seconds = Awaited<ReturnType<BrowserPage["firstSync"]>>;
type Milliseconds = Awaited<ReturnType<BrowserPage["writes"]>>;
type Opening = Awaited<ReturnType<BrowserPage["open"]>>;

function ms(value: number, limit: number): Omit<Target, "name"> {
  return { value, unit: "ms", bound: "at most", limit };
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
}
