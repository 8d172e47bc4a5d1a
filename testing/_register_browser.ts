import type { RegisteredTest } from "./_register.ts";

/** Tests of the module that a page has loaded, in their order; the page's host runs them. */
export const registered: RegisteredTest[] = [];

/** Hands a test to the host. */
export function register(test: RegisteredTest): void {
  registered.push(test);
}

/** How a test ended. */
export interface BrowserTestOutcome {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly ms: number;
  readonly error: string | undefined;
}

/** Runs one of them. */
export async function runTest(
  { name, skip, timeoutMs, fn }: RegisteredTest,
): Promise<BrowserTestOutcome> {
  const startedAt = performance.now();
  const end = (outcome: BrowserTestOutcome["outcome"], error?: string): BrowserTestOutcome => ({
    name,
    outcome,
    ms: performance.now() - startedAt,
    error,
  });
  if (skip) return end("skipped");
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) =>
    timer = setTimeout(() => reject(new Error(`It took more than ${timeoutMs} ms`)), timeoutMs)
  );
  try {
    await Promise.race([fn(), late]);
    return end("passed");
  } catch (thrown) {
    return end("failed", thrown instanceof Error ? `${thrown.stack ?? thrown}` : String(thrown));
  } finally {
    clearTimeout(timer);
  }
}

/** Runs all of them, one after the other. */
async function runAll(): Promise<BrowserTestOutcome[]> {
  const outcomes: BrowserTestOutcome[] = [];
  for (const test of registered) outcomes.push(await runTest(test));
  return outcomes;
}

(globalThis as { runLakeSyncTests?: typeof runAll }).runLakeSyncTests = runAll;
