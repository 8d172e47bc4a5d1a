import { mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { unwrapOrThrow } from "@lakesync/core";
import { test, testObjectStore, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { fileObjectStore } from "./file_object_store.ts";

testObjectStore(
  "fileObjectStore()",
  (body) => withTempDir((path) => body(fileObjectStore({ directory: join(path, "lake") }))),
);

const one = new Uint8Array([1]);

test("fileObjectStore() has the directory's URL as location", async () => {
  await withTempDir((directory) => {
    const store = fileObjectStore({ directory: `${directory}/a b/` });
    assertEquals(store.location, pathToFileURL(`${directory}/a b`).href);
  });
});

test("fileObjectStore() lays objects out as files, and leaves no temporary ones", async () => {
  await withTempDir(async (directory) => {
    const store = fileObjectStore({ directory });
    unwrapOrThrow(await store.put("a/b", one));
    unwrapOrThrow(await store.put("a/c", one, { ifAbsent: true }));
    await store.put("a/c", one, { ifAbsent: true });
    assertEquals(await readdir(join(directory, "a")), ["b", "c"]);
    assertEquals(await readdir(join(directory, "~tmp")), []);
  });
});

test("fileObjectStore() lets one of two stores on a directory win a put-if-absent", async () => {
  await withTempDir(async (directory) => {
    const stores = [fileObjectStore({ directory }), fileObjectStore({ directory })];
    for (let i = 0; i < 20; i++) {
      const puts = await Promise.all(
        stores.map((store) => store.put(`k${i}`, one, { ifAbsent: true })),
      );
      assertEquals(puts.filter(({ ok }) => ok).length, 1);
    }
  });
});

test("fileObjectStore() does not show what a killed process left, and sweeps it", async () => {
  await withTempDir(async (directory) => {
    const store = fileObjectStore({ directory });
    assertEquals(unwrapOrThrow(await store.sweep({ before: Infinity })), 0);
    await mkdir(join(directory, "~tmp"));
    await writeFile(join(directory, "~tmp", "old"), "half");
    await writeFile(join(directory, "~tmp", "new"), "half");
    await utimes(join(directory, "~tmp", "old"), 1, 1);
    await utimes(join(directory, "~tmp", "new"), 100, 100);
    assertEquals(unwrapOrThrow(await store.list("")).objects, []);
    assertEquals(unwrapOrThrow(await store.sweep({ before: 50_000 })), 1);
    assertEquals(await readdir(join(directory, "~tmp")), ["new"]);
  });
});

test("fileObjectStore() ignores files whose names are no keys", async () => {
  await withTempDir(async (directory) => {
    const store = fileObjectStore({ directory });
    unwrapOrThrow(await store.put("a", one));
    await writeFile(join(directory, "not a key"), "");
    assertEquals(unwrapOrThrow(await store.list("")).objects.map(({ key }) => key), ["a"]);
  });
});

test("fileObjectStore() answers STORAGE_ERROR where a key is another key's folder", async () => {
  await withTempDir(async (directory) => {
    const store = fileObjectStore({ directory });
    unwrapOrThrow(await store.put("a/b", one));
    for (const ifAbsent of [false, true]) {
      const folder = await store.put("a", one, { ifAbsent });
      assertEquals(folder.ok ? "" : folder.error.code, "STORAGE_ERROR");
      const below = await store.put("a/b/c", one, { ifAbsent });
      assertEquals(below.ok ? "" : below.error.code, "STORAGE_ERROR");
    }
    assertEquals(unwrapOrThrow(await store.list("")).objects.map(({ key }) => key), ["a/b"]);
    assertEquals(await readdir(join(directory, "~tmp")), []);
  });
});

test("fileObjectStore() answers STORAGE_ERROR with the cause where it cannot write", async () => {
  await withTempDir(async (directory) => {
    await writeFile(join(directory, "lake"), "a file, not a directory");
    const put = await fileObjectStore({ directory: join(directory, "lake") }).put("k", one);
    assert(!put.ok);
    assertEquals(put.error.code, "STORAGE_ERROR");
    assert(put.error.cause instanceof Error);
  });
});
