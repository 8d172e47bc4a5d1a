import { test } from "@lakesync/testing";
import { assert, assertEquals, assertThrows } from "@std/assert";

test("a test in a page compares by value, as on the other runtimes", () => {
  assertEquals({ a: [1, 2n, new Uint8Array([3])] }, { a: [1, 2n, new Uint8Array([3])] });
  assertEquals(
    Object.assign(Object.create(null), { a: 1 }),
    Object.assign(Object.create(null), { a: 1 }),
  );
  assertThrows(() => assertEquals({ a: 0 }, { a: -0 }));
  assertThrows(() => assertEquals([1], [1, 2]));
  assertThrows(() => assertEquals(new Uint8Array([1]), new Uint8Array([2])));
});

test("it is a secure context with a file system of its origin", async () => {
  assert(isSecureContext);
  await navigator.storage.getDirectory();
});
