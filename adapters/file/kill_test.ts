import { unwrapOrThrow } from "@lakesync/core";
import { Prng, spawnScript, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { fileObjectStore } from "./file_object_store.ts";

const script = new URL("./testdata/put_forever.ts", import.meta.url);

test("a killed process leaves whole objects only, and every one whose put was answered", async () => {
  const random = new Prng(42);
  for (let round = 0; round < 5; round++) {
    await withTempDir(async (directory) => {
      const child = spawnScript(script, { args: [directory] });
      const answers = random.int(1, 8);
      for (let i = 0; i < answers; i++) await child.nextJson();
      await child.kill();
      const answered = child.stdout.split("\n").slice(0, -1).map(Number);
      assert(answered.length >= answers);
      const store = fileObjectStore({ directory });
      const { objects } = unwrapOrThrow(await store.list("objects/"));
      const there = objects.map(({ key }) => Number(key.slice("objects/".length)));
      assertEquals(answered.filter((n) => !there.includes(n)), []);
      for (const n of there) {
        const bytes = unwrapOrThrow(await store.get(`objects/${n}`));
        assertEquals(bytes.length, 400_000);
        assert(bytes.every((byte) => byte === (n & 0xff)));
      }
      assert(unwrapOrThrow(await store.sweep({ before: Infinity })) <= 1);
    });
  }
});
