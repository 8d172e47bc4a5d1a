import { unwrapOrThrow } from "@lakesync/core";
import { ManualClock, test, testObjectStore } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { memoryObjectStore } from "./memory_object_store.ts";

testObjectStore("memoryObjectStore()", (body) => body(memoryObjectStore()));

test("memoryObjectStore() takes its location and its times from the options", async () => {
  const clock = new ManualClock(1_000);
  const store = memoryObjectStore({ location: "memory:///other", clock });
  unwrapOrThrow(await store.put("k", new Uint8Array(3)));
  assertEquals(store.location, "memory:///other");
  assertEquals(unwrapOrThrow(await store.head("k")), { key: "k", size: 3, modified: 1_000 });
});
