import type { LakeSyncError } from "./errors.ts";

/** A success that carries a value. */
export interface Ok<T> {
  /** Discriminant. */
  readonly ok: true;
  /** What the operation produced. */
  readonly value: T;
}

/** A failure that carries an error. */
export interface Err<E> {
  /** Discriminant. */
  readonly ok: false;
  /** Why the operation failed. */
  readonly error: E;
}

/**
 * What a public function returns instead of throwing for something that can happen at run time.
 *
 * @typeParam T The value of a success.
 * @typeParam E The error of a failure.
 */
export type Result<T, E = LakeSyncError> = Ok<T> | Err<E>;

/**
 * Makes a success.
 *
 * @param value What the operation produced.
 * @returns A success that carries `value`.
 *
 * @example Succeed
 * ```ts
 * import { ok } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(ok(42), { ok: true, value: 42 });
 * ```
 */
export function ok<T>(value: T): Ok<T> {
  return { ok: true, value };
}

/**
 * Makes a failure.
 *
 * @param error Why the operation failed.
 * @returns A failure that carries `error`.
 *
 * @example Fail
 * ```ts
 * import { err } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(err("too late"), { ok: false, error: "too late" });
 * ```
 */
export function err<E>(error: E): Err<E> {
  return { ok: false, error };
}

/**
 * The value of a success, or a fallback.
 *
 * @param result The result to read.
 * @param fallback What to return for a failure.
 * @returns The value, or `fallback`.
 *
 * @example Fall back
 * ```ts
 * import { err, unwrapOr } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(unwrapOr(err("nothing there"), 0), 0);
 * ```
 */
export function unwrapOr<T, E>(result: Result<T, E>, fallback: T): T {
  return result.ok ? result.value : fallback;
}

/** What {@linkcode match} calls for each side of a result. */
export interface MatchHandlers<T, E, R> {
  /** Called with the value of a success. */
  ok: (value: T) => R;
  /** Called with the error of a failure. */
  err: (error: E) => R;
}

/**
 * Handles both sides of a result.
 *
 * @param result The result to read.
 * @param handlers One function for each side.
 * @returns What the called function returned.
 *
 * @example Handle both sides
 * ```ts
 * import { match, ok } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const text = match(ok(3), { ok: (n) => `${n} rows`, err: () => "failed" });
 * assertEquals(text, "3 rows");
 * ```
 */
export function match<T, E, R>(result: Result<T, E>, handlers: MatchHandlers<T, E, R>): R {
  return result.ok ? handlers.ok(result.value) : handlers.err(result.error);
}

/**
 * The value of a success; a failure is thrown. For scripts, tests and places where a failure is a
 * programmer's error.
 *
 * @param result The result to read.
 * @returns The value.
 * @throws The error of a failure.
 *
 * @example Insist on success
 * ```ts
 * import { ok, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(unwrapOrThrow(ok("done")), "done");
 * ```
 */
export function unwrapOrThrow<T, E>(result: Result<T, E>): T {
  if (result.ok) return result.value;
  throw result.error;
}
