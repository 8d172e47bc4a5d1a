import type { RegisteredTest } from "./_register.ts";

/** The part of `bun:test` that is used here. */
interface BunTest {
  test: {
    (name: string, fn: () => void | Promise<void>, options: { timeout: number }): void;
    skip(name: string, fn: () => void | Promise<void>): void;
  };
}

// Not a literal, so that Deno's type check doesn't try to resolve a module that only Bun has.
const specifier: string = "bun:test";
const runner = await import(specifier) as BunTest;

/** Registers a test with `bun test`. */
export function register({ name, skip, timeoutMs, fn }: RegisteredTest): void {
  if (skip) runner.test.skip(name, fn);
  else runner.test(name, fn, { timeout: timeoutMs });
}
