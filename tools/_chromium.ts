import { findChromium, servePages, startChromium } from "@lakesync/testing";
import type { RunnerReport } from "./_runners.ts";

/** How a test in a page ended; `testing/_register_browser.ts` tells it. */
interface Outcome {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly ms: number;
  readonly error: string | undefined;
}

/** Runs modules of tests in Chromium, each in a page of its own; or says why it cannot. */
export async function runInChromium(
  files: readonly string[],
): Promise<RunnerReport | { missing: string }> {
  const { program, skip } = await findChromium();
  if (program === undefined) return { missing: skip };
  const report: RunnerReport = { results: [], faults: [] };
  await using server = await servePages();
  const browser = await startChromium(program);
  console.log(`Chromium ${browser.version()}`);
  try {
    for (const file of files) {
      // A context has storage of its own.
      const context = await browser.newContext();
      try {
        const page = await context.newPage();
        page.on("console", (message) => {
          if (message.type() === "error") console.error(`  ${message.text()}`);
        });
        await page.goto(`${server.url}/blank`);
        const outcomes: Outcome[] = await page.evaluate(
          `import("/${file}").then(() => globalThis.runLakeSyncTests())`,
        );
        if (outcomes.length === 0) report.faults.push(`${file} has no test`);
        for (const { name, outcome, ms, error } of outcomes) {
          console.log(`${name} ... ${outcome} (${Math.round(ms)}ms)`);
          if (error !== undefined) console.error(error);
          report.results.push({
            file,
            title: name,
            outcome,
            ...(error === undefined ? {} : { why: error }),
          });
        }
      } catch (thrown) {
        report.faults.push(`${file}: ${(thrown as Error).message}`);
      } finally {
        await context.close();
      }
    }
  } finally {
    await browser.close();
  }
  return report;
}
