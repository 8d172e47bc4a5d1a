import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Prng, test } from "@lakesync/testing";
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

test("hashText() is the number's base-36 text", () => {
  const random = new Prng(42);
  const hashes = [0, 35, 36, 36 ** 5 - 1, 36 ** 5, 36 ** 5 + 1, 36 ** 6, 2 ** 32, 2 ** 53 - 1];
  for (let i = 0; i < 500; i++) {
    hashes.push(random.int(0, 2 ** 21 - 1) * 2 ** 32 + random.int(0, 2 ** 31));
  }
  for (const hash of hashes) assertEquals(hashText(hash), hash.toString(36));
});
