import type { JsonValue } from "./json.ts";

/**
 * A position of the log as answers carry it: a number, or through a router an object with one number
 * for each of its shards (PROTOCOL, section 2).
 */
export type LogSeq = number | { readonly [shard: string]: number };

/**
 * Reads a position from outside.
 *
 * @param value What an answer carries as `seq`.
 * @returns Whether it is a position.
 *
 * @example A gateway's and a router's
 * ```ts
 * import { isLogSeq } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(isLogSeq(7));
 * assert(isLogSeq({ orders: 7, rest: 0 }));
 * assert(!isLogSeq({}));
 * assert(!isLogSeq("7"));
 * ```
 */
export function isLogSeq(value: unknown): value is LogSeq {
  if (typeof value !== "object" || value === null) return isPlace(value);
  const places = Array.isArray(value) ? [] : Object.values(value);
  return places.length > 0 && places.every(isPlace);
}

function isPlace(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/**
 * Tells whether who stands at one position has everything up to another.
 *
 * @param at Where it stands.
 * @param target The other position.
 * @returns True where no shard of `target` is ahead of `at`; false where the two are of different
 * logs: of a router and of a gateway, or of routers with different shards.
 *
 * @example Shard by shard
 * ```ts
 * import { hasReached } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(hasReached(8, 7));
 * assert(hasReached({ orders: 8, rest: 3 }, { orders: 8, rest: 2 }));
 * assert(!hasReached({ orders: 9, rest: 1 }, { orders: 8, rest: 2 }));
 * assert(!hasReached(9, { orders: 8, rest: 2 }));
 * ```
 */
export function hasReached(at: LogSeq, target: LogSeq): boolean {
  if (target === 0) return true; // the very beginning, whosever log it is
  if (typeof at === "number" || typeof target === "number") {
    return typeof at === "number" && typeof target === "number" && at >= target;
  }
  return Object.entries(target).every(([shard, seq]) =>
    Object.hasOwn(at, shard) && at[shard]! >= seq
  );
}

/**
 * The text by which a position is stored.
 *
 * @param seq The position.
 * @returns Its JSON, with the shards in the order of their names.
 *
 * @example There and back
 * ```ts
 * import { formatLogSeq, parseLogSeq } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const text = formatLogSeq({ rest: 3, orders: 8 });
 * assertEquals(text, '{"orders":8,"rest":3}');
 * assertEquals(parseLogSeq(text), { orders: 8, rest: 3 });
 * ```
 */
export function formatLogSeq(seq: LogSeq): string {
  if (typeof seq === "number") return String(seq);
  const shards = Object.keys(seq).sort();
  return JSON.stringify(Object.fromEntries(shards.map((shard) => [shard, seq[shard]!])));
}

/**
 * Reads what {@linkcode formatLogSeq} wrote.
 *
 * @param text The text.
 * @returns The position, or undefined where it is none.
 *
 * @example A text that is no position
 * ```ts
 * import { parseLogSeq } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseLogSeq("[]"), undefined);
 * ```
 */
export function parseLogSeq(text: string): LogSeq | undefined {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
  return isLogSeq(value) ? value : undefined;
}
