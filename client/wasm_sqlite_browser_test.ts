import { unwrapOrThrow } from "@lakesync/core";
import { test, testInWorker } from "@lakesync/testing";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { openWasmSqlite, removeWasmSqlite } from "./_wasm_open.ts";

await testInWorker(
  new Worker(new URL("./testdata/wasm_tests_browser.ts", import.meta.url), { type: "module" }),
);

test("openWasmSqlite() in a page takes IndexedDB, because files are for workers", async () => {
  const { database, storage } = unwrapOrThrow(await openWasmSqlite({ name: "page" }));
  assertEquals(storage, "indexeddb");
  await database.close();
  unwrapOrThrow(await removeWasmSqlite("page"));
});

test("openWasmSqlite() takes memory where a browser keeps nothing, and warns", async () => {
  const idb = Object.getOwnPropertyDescriptor(globalThis, "indexedDB")!;
  Object.defineProperty(globalThis, "indexedDB", { value: undefined, configurable: true });
  try {
    const lines: string[] = [];
    const logger = { log: (level: string, event: string) => lines.push(`${level} ${event}`) };
    const { database, storage } = unwrapOrThrow(await openWasmSqlite({ name: "none", logger }));
    assertEquals(storage, "memory");
    assertEquals(lines, ["warn storage.memory"]);
    await database.close();
  } finally {
    Object.defineProperty(globalThis, "indexedDB", idb);
  }
});

test("openWasmSqlite() loads sqlite3.wasm from where an app says it is, and tells where it is not", async () => {
  const name = "memory";
  const storage = "memory";
  const missing = await openWasmSqlite({ name, storage, wasmUrl: "/missing/sqlite3.wasm" });
  assertEquals(missing.ok ? "" : missing.error.code, "STORAGE_ERROR");
  assertStringIncludes(missing.ok ? "" : missing.error.message, "/missing/sqlite3.wasm");
  const wasmUrl = "/npm/@sqlite.org/sqlite-wasm/dist/sqlite3.wasm";
  const { database } = unwrapOrThrow(await openWasmSqlite({ name, storage, wasmUrl }));
  assertEquals(unwrapOrThrow(await database.query("SELECT 42 AS x")), [{ x: 42 }]);
  await database.close();
});
