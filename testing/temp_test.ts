import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { assert, assertEquals, assertFalse, assertNotEquals, assertRejects } from "@std/assert";
import { withTempDir } from "./temp.ts";
import { test } from "./test.ts";

test("withTempDir() gives an empty directory and removes it with what is in it", async () => {
  const path = await withTempDir(async (path) => {
    assert(isAbsolute(path));
    assertEquals(await readdir(path), []);
    await mkdir(join(path, "a", "b"), { recursive: true });
    await writeFile(join(path, "a", "b", "c"), "x");
    return path;
  });
  assertFalse(existsSync(path));
});

test("withTempDir() removes the directory also when the function throws", async () => {
  let seen = "";
  await assertRejects(
    () =>
      withTempDir((path) => {
        seen = path;
        throw new RangeError("boom");
      }),
    RangeError,
    "boom",
  );
  assertNotEquals(seen, "");
  assertFalse(existsSync(seen));
});

test("withTempDir() gives every call a directory of its own", async () => {
  await withTempDir((a) => withTempDir((b) => assertNotEquals(a, b)));
});
