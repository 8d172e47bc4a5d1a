import { memoryObjectStore } from "@lakesync/adapter-memory";
import { unwrapOrThrow } from "@lakesync/core";
import { assert, assertEquals } from "@std/assert";
import { faultyObjectStore, type StoreOperation } from "./faulty_store.ts";
import { test } from "./test.ts";

const one = Uint8Array.of(1, 2, 3);

test("faultyObjectStore() fails an operation without doing it", async () => {
  const inner = memoryObjectStore();
  const store = faultyObjectStore(inner, ({ count }) => count === 1 ? "fail" : undefined);
  const put = await store.put("k", one);
  assertEquals(put.ok ? "" : put.error.code, "STORAGE_ERROR");
  assertEquals(unwrapOrThrow(await inner.head("k")), undefined);
  assert((await store.put("k", one)).ok);
});

test("faultyObjectStore() does an operation and loses its answer", async () => {
  const inner = memoryObjectStore();
  const store = faultyObjectStore(inner, () => "lose-answer");
  const put = await store.put("k", one);
  assertEquals(put.ok ? "" : put.error.code, "STORAGE_ERROR");
  assertEquals(unwrapOrThrow(await inner.get("k")), one);
});

test("faultyObjectStore() fills the disk: exactly so many bytes fit, one more leaves nothing", async () => {
  for (const fullAfterBytes of [2, 3]) {
    const inner = memoryObjectStore();
    const store = faultyObjectStore(inner, () => ({ fullAfterBytes }));
    const put = await store.put("k", one);
    assertEquals(put.ok, fullAfterBytes === 3);
    if (!put.ok) assert(put.error.message.includes("ENOSPC"));
    assertEquals(unwrapOrThrow(await inner.head("k"))?.size, put.ok ? 3 : undefined);
  }
});

test("faultyObjectStore() holds an operation back until it is let go", async () => {
  const gate = Promise.withResolvers<void>();
  const inner = memoryObjectStore();
  const store = faultyObjectStore(
    inner,
    ({ name }) => name === "put" ? { after: gate.promise } : undefined,
  );
  const put = store.put("k", one);
  assertEquals(unwrapOrThrow(await store.head("k")), undefined);
  gate.resolve();
  assert((await put).ok);
});

test("faultyObjectStore() tells of every operation in order", async () => {
  const seen: StoreOperation[] = [];
  const store = faultyObjectStore(memoryObjectStore(), (operation) => {
    seen.push(operation);
    return undefined;
  });
  await store.put("a", one);
  await store.get("a");
  await store.head("a");
  await store.list("p/");
  await store.delete(["a", "b"]);
  assertEquals(seen.map(({ name, key, count }) => `${count} ${name} ${key}`), [
    "1 put a",
    "2 get a",
    "3 head a",
    "4 list p/",
    "5 delete a",
  ]);
});
