import { Prng, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import type { WriterOrder, WriterReport } from "./testdata/wasm_writer_browser.ts";
import { removeWasmSqlite } from "./_wasm_open.ts";

/** So often a writer is ended, and so many databases have one at the same time: most of it is waiting. */
const KILLS = 13;
const WRITERS = 4;

/** Starts a writer and ends it in the middle of its work, after so many answers. */
function writeAndKill(
  order: WriterOrder,
  answers: number,
): Promise<{ found: number; confirmed: number }> {
  const worker = new Worker(new URL("./testdata/wasm_writer_browser.ts", import.meta.url), {
    type: "module",
  });
  return new Promise((resolve, reject) => {
    let found = 0;
    let left = answers;
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.onmessage = ({ data }: MessageEvent<WriterReport>) => {
      if ("failed" in data) return reject(new Error(data.failed));
      if ("found" in data) {
        if (data.faults.length > 0) return reject(new Error(data.faults.join("; ")));
        found = data.found;
      } else if (--left === 0) {
        worker.terminate();
        resolve({ found, confirmed: data.confirmed });
      }
    };
    worker.postMessage(order);
  });
}

for (const storage of ["opfs", "indexeddb"] as const) {
  test({
    name: `workers that are ended in mid-write ${
      KILLS * WRITERS
    } times lose nothing answered (${storage})`,
    timeoutMs: 300_000,
  }, async () => {
    const unanswered = await Promise.all(
      Array.from({ length: WRITERS }, async (_, i) => {
        const order = { name: `killed-${storage}-${i}`, storage, keep: 200 };
        const prng = new Prng(42 + i);
        let confirmed = 0;
        let unanswered = 0;
        for (let kill = 0; kill <= KILLS; kill++) {
          const run = await writeAndKill(order, prng.int(1, 12));
          assert(run.found >= confirmed, `${confirmed} was answered, ${run.found} was found`);
          unanswered += run.found - confirmed;
          confirmed = run.confirmed;
        }
        assertEquals((await removeWasmSqlite(order.name)).ok, true);
        return unanswered;
      }),
    );
    assert(unanswered.some((n) => n > 0), "some were ended between the commit and its answer");
  });
}
