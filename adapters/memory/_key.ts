// The same text stands in each store's package: they share nothing else.
const KEY = /^[A-Za-z0-9._=%-]+(?:\/[A-Za-z0-9._=%-]+)*$/;
const PREFIX = /^(?:[A-Za-z0-9._=%-]+(?:\/[A-Za-z0-9._=%-]+)*\/?)?$/;
const DOTS = /(?:^|\/)\.\.?(?:\/|$)/;

/** Throws unless the text is an object's key: the port says what one is. */
export function checkKey(key: string): void {
  if (!KEY.test(key) || DOTS.test(key)) {
    throw new TypeError(
      `Cannot use ${
        JSON.stringify(key)
      } as a key: it must be segments of A-Z a-z 0-9 . _ = % - with / between them, none of them . or ..`,
    );
  }
}

/** Throws unless the text is the beginning of a key, or empty. */
export function checkPrefix(prefix: string): void {
  if (!PREFIX.test(prefix) || DOTS.test(prefix)) {
    throw new TypeError(
      `Cannot list ${JSON.stringify(prefix)}: no key can start with it`,
    );
  }
}

/** Throws unless `start` and `end` are a range of bytes. */
export function checkRange(start: number, end: number): void {
  const valid = Number.isSafeInteger(start) && start >= 0 && end >= start &&
    (Number.isSafeInteger(end) || end === Infinity);
  if (!valid) throw new TypeError(`Cannot read bytes ${start} to ${end}: that is no range`);
}

/** Throws unless the number can be a page's size. */
export function checkLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new TypeError(`Cannot list ${limit} objects: the limit is a whole number from 1`);
  }
}
