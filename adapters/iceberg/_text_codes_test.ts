import fc from "fast-check";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { TextCodes } from "./_text_codes.ts";

test("TextCodes numbers texts as they come first, each once, also after it was cleared", () => {
  const text = fc.oneof(fc.string({ maxLength: 3, unit: "binary" }), fc.nat(5_000).map(String));
  fc.assert(
    fc.property(
      fc.array(fc.array(text, { maxLength: 3_000, size: "max" }), { maxLength: 3 }),
      (rounds) => {
        const codes = new TextCodes();
        for (const texts of rounds) {
          const known = new Map<string, number>();
          for (const text of texts) {
            if (!known.has(text)) known.set(text, known.size);
            assertEquals(codes.codeOf(text), known.get(text));
          }
          assertEquals(codes.texts, [...known.keys()]);
          codes.clear();
        }
      },
    ),
    { seed: 42, numRuns: 20 },
  );
});
