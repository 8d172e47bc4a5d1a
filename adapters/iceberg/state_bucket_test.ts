import fc from "fast-check";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { bucketOf, murmur3 } from "./state_bucket.ts";

const utf8 = new TextEncoder();

test("The hash is that of the specification's test vectors", () => {
  assertEquals(murmur3(utf8.encode("iceberg")), 1_210_000_089);
  assertEquals(murmur3(Uint8Array.of(0, 1, 2, 3)), -188_683_207);
  // An int, a long, a date and a time are hashed as their 8 bytes, little endian.
  assertEquals(murmur3(Uint8Array.of(34, 0, 0, 0, 0, 0, 0, 0)), 2_017_239_379);
  assertEquals(murmur3(new Uint8Array()), 0);
});

test("Every text has the bucket of its UTF-8, within the number of buckets", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 4096 }), (text, n) => {
      const bucket = bucketOf(text, n);
      assertEquals(bucket, (murmur3(utf8.encode(text)) & 0x7fff_ffff) % n);
      assert(Number.isInteger(bucket) && bucket >= 0 && bucket < n);
    }),
    { seed: 42 },
  );
});
