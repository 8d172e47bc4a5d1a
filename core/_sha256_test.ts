import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { portableSha256, sha256Hex } from "./_sha256.ts";

test("the runtime's SHA-256 is that in JavaScript, for any text", () => {
  assert(sha256Hex !== portableSha256);
  assertEquals(
    sha256Hex("abc"),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      assertEquals(sha256Hex(text), portableSha256(text));
    }),
    { seed: 42 },
  );
});
