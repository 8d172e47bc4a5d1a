import { type ObjectStore, unwrapOrThrow, type Watermark } from "@lakesync/core";
import { ManualClock, memoryObjectStore, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { streamingEngine } from "./compact_fold.ts";
import { icebergDestination } from "./destination.ts";
import { icebergLake } from "./lake.ts";
import { maintainLake } from "./maintain.ts";
import { entries, flush, NOON } from "./testdata/lake_rows.ts";

const HASH = "q3yvs3jbuq";

/** How far a table is, as a destination that sees it for the first time finds it. */
async function markOf(store: ObjectStore) {
  return unwrapOrThrow(await icebergDestination({ store }).watermarks(["todos"])).get("todos");
}

test("the log's hash is committed with the watermark, and upkeep carries it on", async () => {
  const clock = new ManualClock(NOON);
  const store = memoryObjectStore({ clock });
  const destination = icebergDestination({ store, clock });
  let from: Watermark | undefined;
  for (let seq = 1; seq <= 12; seq++) {
    const to = { epoch: "e", seq, hash: `${HASH}${seq}` };
    await flush(destination, entries(seq, seq), { from, to });
    assertEquals(await markOf(store), to);
    from = to;
  }
  const engine = streamingEngine();
  const { steps } = unwrapOrThrow(
    await maintainLake({ store, clock, engine, minSnapshots: 1, maxSnapshots: 1 }),
  );
  assertEquals(steps.map(({ step, table }) => `${step} ${table}`), [
    "compact todos",
    "rewrite todos_changes",
    "expire todos_changes",
  ]);
  assertEquals(await markOf(store), from);
  const lake = icebergLake({ store });
  assertEquals(unwrapOrThrow(await lake.scan("todos")).watermark, from);
  assertEquals(unwrapOrThrow(await lake.scan("todos_changes")).watermark, from);
});

test("a watermark without a hash, as of before there was one, has none", async () => {
  const store = memoryObjectStore();
  const destination = icebergDestination({ store });
  await flush(destination, entries(1, 1));
  assertEquals(await markOf(store), { epoch: "e", seq: 1 });
  const to = { epoch: "e", seq: 2, hash: HASH };
  await flush(destination, entries(2, 2), { from: { epoch: "e", seq: 1 }, to });
  assertEquals(await markOf(store), to);
});
