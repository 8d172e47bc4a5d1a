import process from "node:process";
import {
  fileObjectStore,
  findCatalogue,
  Prng,
  spawnScript,
  startIcebergRest,
  test,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { readSeqs } from "./testdata/lake_rows.ts";
import { catalogueAt, metadataOf } from "./testdata/rest_lake.ts";

const restScript = new URL("./testdata/flush_rest_forever.ts", import.meta.url);
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

test({
  name:
    "a process killed while it flushes through a REST catalogue, again and again, loses and doubles no row",
  skip: findCatalogue("iceberg-rest"),
  timeoutMs: 120_000,
}, async () => {
  const random = new Prng(42);
  const { url } = await startIcebergRest();
  const namespace = `killed${process.pid}`;
  const catalogue = catalogueAt(url, namespace);
  let most = 0;
  for (let round = 0; round < 8; round++) {
    const child = spawnScript(restScript, { args: [url, namespace] });
    const answers = random.int(1, 3);
    for (let i = 0; i < answers; i++) assert(await child.nextJson() !== undefined, child.stderr);
    // Somewhere within the next flush: its files, its commit, or before the answer.
    for (let i = random.int(0, 3_000); i > 0; i--) await new Promise(setImmediate);
    await child.kill();
    const answered = Number(child.stdout.trimEnd().split("\n").at(-1));
    // A commit that is under way may still be carried out.
    const seqs = await readSeqs(catalogue, "todos_changes");
    assert(seqs.length >= Math.max(answered, most), `${seqs.length} of ${answered}`);
    assertEquals(seqs, Array.from({ length: seqs.length }, (_, i) => i + 1));
    most = seqs.length;
  }
  const { snapshots } = await metadataOf(catalogue, "todos_changes");
  assert(snapshots.length > 8, `${snapshots.length} flushes`);
});
