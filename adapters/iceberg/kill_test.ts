import { fileObjectStore, Prng, spawnScript, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { readSeqs } from "./testdata/lake_rows.ts";

const script = new URL("./testdata/flush_forever.ts", import.meta.url);

test("a process killed while it flushes, again and again, loses and doubles no row", async () => {
  const random = new Prng(42);
  await withTempDir(async (directory) => {
    const store = fileObjectStore({ directory });
    for (let round = 0; round < 8; round++) {
      const child = spawnScript(script, { args: [directory] });
      const answers = random.int(1, 3);
      for (let i = 0; i < answers; i++) assert(await child.nextJson() !== undefined, child.stderr);
      // Somewhere within the next flush.
      for (let i = random.int(0, 400); i > 0; i--) await new Promise(setImmediate);
      await child.kill();
      const answered = Number(child.stdout.trimEnd().split("\n").at(-1));
      const seqs = await readSeqs(store, "todos_changes");
      assert(seqs.length >= answered);
      assertEquals(seqs, Array.from({ length: seqs.length }, (_, i) => i + 1));
    }
  });
});
