import fc from "fast-check";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import {
  booleanBound,
  compareBytes,
  doubleBound,
  intBound,
  longBound,
  lowerBinaryBound,
  lowerTextBound,
  readLongBound,
  upperBinaryBound,
  upperTextBound,
} from "./bounds.ts";

const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const texts = fc.string({
  unit: fc.oneof(
    fc.constantFrom("a", "\u{10FFFF}", "\u{D7FF}", "\u{FFFF}", "\u{7F}", "\u{7FF}", "\u{FEFF}"),
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
  ),
  maxLength: 24,
});

test("text bounds enclose the text by UTF-8 bytes, in at most 16 code points", () => {
  fc.assert(
    fc.property(texts, (text) => {
      const bytes = utf8.encode(text);
      const lower = lowerTextBound(text);
      assert(compareBytes(lower, bytes) <= 0);
      assert([...strict.decode(lower)].length <= 16);
      const upper = upperTextBound(text);
      if (upper === undefined) return;
      assert(compareBytes(upper, bytes) >= 0);
      assert([...strict.decode(upper)].length <= 16);
    }),
    { seed: 42, numRuns: 2_000 },
  );
});

test("a text of up to 16 code points is its own bound", () => {
  for (const text of ["", "abc", "\u{1F600}".repeat(16)]) {
    assertEquals(lowerTextBound(text), utf8.encode(text));
    assertEquals(upperTextBound(text), utf8.encode(text));
  }
});

test("the upper bound of a long text has its last code point that can be raised raised", () => {
  const upper = (text: string) => {
    const bound = upperTextBound(text);
    return bound && strict.decode(bound);
  };
  assertEquals(upper("a".repeat(17)), "a".repeat(15) + "b");
  assertEquals(upper("a".repeat(15) + "\u{10FFFF}x"), "a".repeat(14) + "b");
  assertEquals(upper("a".repeat(15) + "\u{D7FF}x"), "a".repeat(15) + "\u{E000}");
  assertEquals(upper("\u{10FFFF}".repeat(17)), undefined);
});

test("binary bounds enclose the bytes, in at most 16 bytes", () => {
  const binary = fc.uint8Array({ maxLength: 24 }).map((bytes) =>
    bytes.map((byte) => byte > 200 ? 255 : byte)
  );
  fc.assert(
    fc.property(binary, (bytes) => {
      assert(compareBytes(lowerBinaryBound(bytes), bytes) <= 0);
      assert(lowerBinaryBound(bytes).length <= 16);
      const upper = upperBinaryBound(bytes);
      if (upper === undefined) return;
      assert(compareBytes(upper, bytes) >= 0);
      assert(upper.length <= 16);
    }),
    { seed: 42, numRuns: 1_000 },
  );
  assertEquals(upperBinaryBound(new Uint8Array(17).fill(255)), undefined);
});

test("numbers, times and booleans are little endian", () => {
  assertEquals(longBound(-2n), Uint8Array.of(254, 255, 255, 255, 255, 255, 255, 255));
  assertEquals(intBound(258), Uint8Array.of(2, 1, 0, 0));
  assertEquals(doubleBound(1), Uint8Array.of(0, 0, 0, 0, 0, 0, 240, 63));
  assertEquals(booleanBound(true), Uint8Array.of(1));
});

test("readLongBound() reads what longBound() made, and nothing else", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      assertEquals(readLongBound(longBound(value)), value);
    }),
    { seed: 42 },
  );
  assertEquals(readLongBound(new Uint8Array(4)), undefined);
});
