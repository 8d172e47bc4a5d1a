const KEY = /^[A-Za-z0-9._=%-]+(?:\/[A-Za-z0-9._=%-]+)*$/;
const PREFIX = /^(?:[A-Za-z0-9._=%-]+(?:\/[A-Za-z0-9._=%-]+)*\/?)?$/;
const DOTS = /(?:^|\/)\.\.?(?:\/|$)/;

/**
 * Throws unless a text is an object's key, as the `ObjectStore` port has it. For implementations.
 *
 * @param key The text.
 * @throws {TypeError} Where it is none.
 *
 * @example No way out of the store
 * ```ts
 * import { checkObjectKey } from "@lakesync/core";
 * import { assertThrows } from "@std/assert";
 *
 * checkObjectKey("todos_changes/metadata/v1.metadata.json");
 * assertThrows(() => checkObjectKey("../etc/passwd"), TypeError);
 * ```
 */
export function checkObjectKey(key: string): void {
  if (!KEY.test(key) || DOTS.test(key)) {
    throw new TypeError(
      `Cannot use ${
        JSON.stringify(key)
      } as a key: it must be segments of A-Z a-z 0-9 . _ = % - with / between them, none of them . or ..`,
    );
  }
}

/**
 * Throws unless a text is the beginning of a key, or empty. For implementations of `ObjectStore`.
 *
 * @param prefix The text.
 * @throws {TypeError} Where no key can start with it.
 *
 * @example Check a prefix
 * ```ts
 * import { checkObjectPrefix } from "@lakesync/core";
 *
 * checkObjectPrefix("todos_changes/");
 * ```
 */
export function checkObjectPrefix(prefix: string): void {
  if (!PREFIX.test(prefix) || DOTS.test(prefix)) {
    throw new TypeError(`Cannot list ${JSON.stringify(prefix)}: no key can start with it`);
  }
}

/**
 * Throws unless two numbers are a range of bytes. For implementations of `ObjectStore`.
 *
 * @param start The first byte.
 * @param end One past the last, or `Infinity`.
 * @throws {TypeError} Where they are none.
 *
 * @example Check a range
 * ```ts
 * import { checkByteRange } from "@lakesync/core";
 * import { assertThrows } from "@std/assert";
 *
 * checkByteRange(0, Infinity);
 * assertThrows(() => checkByteRange(5, 4), TypeError);
 * ```
 */
export function checkByteRange(start: number, end: number): void {
  const valid = Number.isSafeInteger(start) && start >= 0 && end >= start &&
    (Number.isSafeInteger(end) || end === Infinity);
  if (!valid) throw new TypeError(`Cannot read bytes ${start} to ${end}: that is no range`);
}

/**
 * Throws unless a number can be the size of a listing's page. For implementations of `ObjectStore`.
 *
 * @param limit The number.
 * @throws {TypeError} Where it is no whole number from 1.
 *
 * @example Check a limit
 * ```ts
 * import { checkListLimit } from "@lakesync/core";
 *
 * checkListLimit(1000);
 * ```
 */
export function checkListLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new TypeError(`Cannot list ${limit} objects: the limit is a whole number from 1`);
  }
}
