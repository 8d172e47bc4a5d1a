import { crc32 as crc32OfZlib } from "node:zlib";
import fc from "fast-check";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { crc32 } from "./_crc32.ts";

test("crc32() is that of zlib", () => {
  assertEquals(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => crc32(bytes) === crc32OfZlib(bytes)),
    { seed: 42 },
  );
});
