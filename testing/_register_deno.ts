import type { RegisteredTest } from "./_register.ts";

/** Registers a test with `deno test`. */
export function register({ name, skip, timeoutMs, fn }: RegisteredTest): void {
  Deno.test({ name, ignore: skip, timeout: timeoutMs, fn });
}
