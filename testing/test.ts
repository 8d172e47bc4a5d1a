import type { RegisterTest } from "./_register.ts";

/** How a test is registered with {@linkcode test}. */
export interface TestOptions {
  /** The behaviour under test, as its title. */
  name: string;
  /**
   * Why this test cannot run on this machine. The test is then reported as skipped together with
   * this reason; it is never left out in silence.
   *
   * @default {undefined}
   */
  skip?: string | undefined;
  /**
   * Milliseconds after which the test fails.
   *
   * @default {60_000}
   */
  timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 60_000;

// Each runtime has a module of its own, loaded only there: neither has to resolve the other's API.
const register: RegisterTest = "Bun" in globalThis
  ? (await import("./_register_bun.ts")).register
  : "Deno" in globalThis
  ? (await import("./_register_deno.ts")).register
  : (await import("./_register_browser.ts")).register;

/**
 * Registers a test with the runner of the present runtime: `deno test`, `bun test`, or the page that
 * `deno task test` opens in Chromium for a `*_browser_test.ts`.
 *
 * @param test The title, or a title with options.
 * @param fn The test; it fails when it throws or rejects.
 *
 * @example A test that runs everywhere
 * ```ts ignore
 * import { test } from "@lakesync/testing";
 * import { assertEquals } from "@std/assert";
 *
 * test("adding is commutative", () => assertEquals(1 + 2, 2 + 1));
 * ```
 */
export function test(test: string | TestOptions, fn: () => void | Promise<void>): void {
  const { name, skip, timeoutMs = DEFAULT_TIMEOUT_MS }: TestOptions = typeof test === "string"
    ? { name: test }
    : test;
  if (skip !== undefined && skip.trim() === "") {
    throw new TypeError(`Cannot skip test "${name}": the reason is empty`);
  }
  // Neither runner has a place for a reason, so it becomes part of the title that both report.
  register({
    name: skip === undefined ? name : `${name} — ${skip}`,
    skip: skip !== undefined,
    timeoutMs,
    fn,
  });
}
