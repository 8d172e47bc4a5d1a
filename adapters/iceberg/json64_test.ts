import fc from "fast-check";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { parseJson64, stringifyJson64 } from "./json64.ts";

test("parseJson64() keeps 64-bit integers exact, and only those are bigints", () => {
  assertEquals(
    parseJson64('{"a":9033385601768256024,"b":-9223372036854775808,"c":42,"d":1.5,"e":1e300}'),
    { a: 9033385601768256024n, b: -9223372036854775808n, c: 42, d: 1.5, e: 1e300 },
  );
});

test("stringifyJson64() writes bigints as numbers, and parseJson64() reads them back", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (id) => {
      const text = stringifyJson64({ list: [{ id }] });
      assertEquals(text, `{"list":[{"id":${id}}]}`);
      const read = parseJson64(text) as { list: { id: bigint | number }[] };
      assertEquals(BigInt(read.list[0]!.id), id);
    }),
    { seed: 42 },
  );
});

test("parseJson64() keeps a key __proto__ as a key", () => {
  const text = '{"__proto__":{"a":1}}';
  assertEquals(stringifyJson64(parseJson64(text)), text);
});
