import { assertEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import fc from "fast-check";
import { quoted } from "./_quoted.ts";

test("quoted() is what JSON.stringify gives, of any text", () => {
  for (let unit = 0; unit < 0x300; unit++) {
    const text = `a${String.fromCharCode(unit)}b`;
    assertEquals(quoted(text), JSON.stringify(text));
  }
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" })), (text) => {
      assertEquals(quoted(text), JSON.stringify(text));
    }),
    { seed: 42, numRuns: 500 },
  );
});
