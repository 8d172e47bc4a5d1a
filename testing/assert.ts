/**
 * Assertions with the names and signatures of `jsr:@std/assert`, which the import map's alias
 * `@std/assert` stands for here: build machines reach npm but not JSR.
 *
 * Comparison and its messages are those of `node:assert`, which Deno and Bun both have. Values are
 * compared as by `Object.is`: NaN equals NaN, and -0 does not equal 0.
 */
import { AssertionError, deepStrictEqual, notDeepStrictEqual } from "node:assert";
import { inspect } from "node:util";

export { AssertionError };

/** A class, also an abstract one, whose instances are `T`. */
export type Class<T> = abstract new (...args: never[]) => T;

/** Fails unless `expr` is truthy. */
export function assert(expr: unknown, msg: string = ""): asserts expr {
  if (!expr) failed(`Expected a truthy value, got ${inspect(expr)}`, msg, assert);
}

/** Fails unless `expr` is falsy. */
export function assertFalse(expr: unknown, msg?: string): asserts expr is false {
  if (expr) failed(`Expected a falsy value, got ${inspect(expr)}`, msg, assertFalse);
}

/** Fails unless both are deeply equal. An object without prototype equals a plain one. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  try {
    deepStrictEqual(plain(actual), plain(expected));
  } catch (cause) {
    if (!(cause instanceof AssertionError)) throw cause;
    failed(cause.message, msg, assertEquals);
  }
}

/** Fails if both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  try {
    notDeepStrictEqual(plain(actual), plain(expected));
  } catch (cause) {
    if (!(cause instanceof AssertionError)) throw cause;
    failed(`Expected anything but ${inspect(expected)}`, msg, assertNotEquals);
  }
}

/** Fails unless both are the same by `Object.is`. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  failed(
    `Expected the very value ${inspect(expected)}, got ${inspect(actual)}`,
    msg,
    assertStrictEquals,
  );
}

/** Fails if both are the same by `Object.is`. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (Object.is(actual, expected)) {
    failed(`Expected anything but ${inspect(expected)}`, msg, assertNotStrictEquals);
  }
}

/** Fails if the value is null or undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) {
    failed(`Expected a value, got ${actual}`, msg, assertExists);
  }
}

/** Fails unless the value is an instance of the class. */
export function assertInstanceOf<T>(
  actual: unknown,
  expectedType: Class<T>,
  msg?: string,
): asserts actual is T {
  if (actual instanceof expectedType) return;
  failed(
    `Expected an instance of ${expectedType.name}, got ${inspect(actual)}`,
    msg,
    assertInstanceOf,
  );
}

/** Fails unless the text matches the pattern. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (actual.search(expected) < 0) {
    failed(`Expected ${inspect(actual)} to match ${expected}`, msg, assertMatch);
  }
}

/** Fails if the text matches the pattern. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  if (actual.search(expected) < 0) return;
  failed(`Expected ${inspect(actual)} not to match ${expected}`, msg, assertNotMatch);
}

/** Fails unless the text contains the other one. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  failed(`Expected ${inspect(actual)} to contain ${inspect(expected)}`, msg, assertStringIncludes);
}

/** Fails unless the list contains a deep equal of every expected item. */
export function assertArrayIncludes<T>(
  actual: ArrayLike<T>,
  expected: ArrayLike<T>,
  msg?: string,
): void {
  const missing = Array.from(expected).filter((item) =>
    !Array.from(actual).some((candidate) => isEqual(candidate, item))
  );
  if (missing.length > 0) {
    failed(`Expected ${inspect(actual)} to include ${inspect(missing)}`, msg, assertArrayIncludes);
  }
}

/** Fails unless `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) {
    failed(`Expected ${inspect(actual)} > ${inspect(expected)}`, msg, assertGreater);
  }
}

/** Fails unless `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) {
    failed(`Expected ${inspect(actual)} >= ${inspect(expected)}`, msg, assertGreaterOrEqual);
  }
}

/** Fails unless `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) {
    failed(`Expected ${inspect(actual)} < ${inspect(expected)}`, msg, assertLess);
  }
}

/** Fails unless `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) {
    failed(`Expected ${inspect(actual)} <= ${inspect(expected)}`, msg, assertLessOrEqual);
  }
}

/** Fails unless both numbers differ by at most `tolerance`, by default 1e-7 of the expected one. */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance: number = Math.abs(expected) * 1e-7,
  msg?: string,
): void {
  if (Object.is(actual, expected) || Math.abs(actual - expected) <= tolerance) return;
  failed(
    `Expected ${actual} to differ from ${expected} by at most ${tolerance}`,
    msg,
    assertAlmostEquals,
  );
}

/** Fails unless `fn` throws; returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Fails unless `fn` throws such an error; returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  classOrMsg?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const [ErrorClass, note] = thrownArgs(classOrMsg, msg);
  try {
    fn();
  } catch (thrown) {
    return checkThrown(thrown, ErrorClass, msgIncludes, note, assertThrows);
  }
  failed("Expected the function to throw", note, assertThrows);
}

/** Fails unless the promise made by `fn` rejects; resolves with what it rejected with. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Fails unless the promise made by `fn` rejects with such an error; resolves with it. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const [ErrorClass, note] = thrownArgs(classOrMsg, msg);
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (thrown) {
    failed(
      `Expected a promise that rejects, but the function threw ${inspect(thrown)}`,
      note,
      assertRejects,
    );
  }
  try {
    await promise;
  } catch (thrown) {
    return checkThrown(thrown, ErrorClass, msgIncludes, note, assertRejects);
  }
  failed("Expected the promise to reject", note, assertRejects);
}

/** Fails. */
export function fail(msg?: string): never {
  failed("Failed assertion", msg, fail);
}

/** Throws for `assertion`, with a stack that starts at the test's line that called it. */
function failed(
  what: string,
  msg: string | undefined,
  assertion: (...args: never[]) => unknown,
): never {
  throw new AssertionError({
    message: msg ? `${msg}: ${what}` : what,
    stackStartFn: assertion,
  });
}

function isEqual(a: unknown, b: unknown): boolean {
  try {
    assertEquals(a, b);
    return true;
  } catch {
    return false;
  }
}

function thrownArgs(
  classOrMsg: Class<Error> | string | undefined,
  msg: string | undefined,
): [Class<Error> | undefined, string | undefined] {
  return typeof classOrMsg === "string" ? [undefined, classOrMsg] : [classOrMsg, msg];
}

function checkThrown(
  thrown: unknown,
  ErrorClass: Class<Error> | undefined,
  msgIncludes: string | undefined,
  note: string | undefined,
  assertion: (...args: never[]) => unknown,
): unknown {
  if (ErrorClass === undefined) return thrown;
  if (!(thrown instanceof ErrorClass)) {
    failed(`Expected ${ErrorClass.name}, got ${inspect(thrown)}`, note, assertion);
  }
  if (msgIncludes !== undefined && !thrown.message.includes(msgIncludes)) {
    const expected = inspect(msgIncludes);
    failed(`Expected a message with ${expected}, got ${inspect(thrown)}`, note, assertion);
  }
  return thrown;
}

/**
 * The same value with plain objects in place of those without a prototype, which SQLite drivers and
 * maps keyed by user names use for what a test writes as a literal.
 */
function plain(value: unknown, seen: Map<object, unknown> = new Map()): unknown {
  if (typeof value !== "object" || value === null) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  const proto: unknown = Object.getPrototypeOf(value);
  if (proto === Map.prototype) {
    const copy = new Map<unknown, unknown>();
    seen.set(value, copy);
    for (const [k, v] of value as Map<unknown, unknown>) copy.set(plain(k, seen), plain(v, seen));
    return copy;
  }
  if (proto === Set.prototype) {
    const copy = new Set<unknown>();
    seen.set(value, copy);
    for (const item of value as Set<unknown>) copy.add(plain(item, seen));
    return copy;
  }
  if (proto !== null && proto !== Object.prototype && proto !== Array.prototype) return value;
  const copy: object = Array.isArray(value) ? new Array(value.length) : {};
  seen.set(value, copy);
  for (const key of Reflect.ownKeys(value)) {
    const descriptor = Object.getOwnPropertyDescriptor(value, key);
    if (!descriptor?.enumerable) continue;
    Object.defineProperty(copy, key, {
      value: plain(Reflect.get(value, key), seen),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return copy;
}
