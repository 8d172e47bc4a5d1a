import fc from "fast-check";
import { compareCodePoints } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { encodeTexts, orderTexts } from "./_texts.ts";

const letters = fc.constantFrom("a", "b", "\0", "\x7e", "\x7f", "\x80", "é", "\uE000", "\u{1F600}");
const texts = fc.oneof(
  fc.string({ unit: letters, maxLength: 14 }),
  fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 14 }).map((text) => `shared-${text}`),
  fc.uuid(),
);

test("orderTexts() gives the order of code points", () => {
  fc.assert(
    fc.property(fc.uniqueArray(texts, { minLength: 0, maxLength: 300, size: "max" }), (list) => {
      const ordered = Array.from(orderTexts(list), (i) => list[i]!);
      assertEquals(ordered, [...list].sort(compareCodePoints));
    }),
    { seed: 42, numRuns: 300 },
  );
});

test("orderTexts() orders more texts than one key can tell apart", () => {
  const list = Array.from({ length: 270_000 }, (_, i) => String((i * 7_919) % 270_001));
  const ordered = Array.from(orderTexts(list), (i) => list[i]!);
  assertEquals(ordered, [...list].sort());
});

test("encodeTexts() encodes every text as it would be by itself", () => {
  fc.assert(
    fc.property(fc.array(texts), (list) => {
      assertEquals(encodeTexts(list), list.map((text) => new TextEncoder().encode(text)));
    }),
    { seed: 42 },
  );
});
