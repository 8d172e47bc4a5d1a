import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import { EMPTY_HASH, extendHash, hashText } from "./log_hash.ts";

const a = "a".repeat(64);
const b = "b".repeat(64);

test("extendHash() depends on the order of the entries", () => {
  const ab = extendHash(extendHash(EMPTY_HASH, a), b);
  const ba = extendHash(extendHash(EMPTY_HASH, b), a);
  assertNotEquals(ab, ba);
});

test("extendHash() stays an exact number and tells 100,000 logs apart", () => {
  let hash = EMPTY_HASH;
  const seen = new Set<number>();
  for (let i = 0; i < 100_000; i++) {
    hash = extendHash(hash, (i * 2654435761 % 2 ** 32).toString(16).padStart(16, "0").repeat(4));
    assert(Number.isSafeInteger(hash) && hash >= 0);
    seen.add(hash);
  }
  assertEquals(seen.size, 100_000);
});

test("hashText() of the empty log is 0", () => {
  assertEquals(hashText(EMPTY_HASH), "0");
});
