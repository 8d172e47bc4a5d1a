import { type ObjectStore, unwrapOrThrow } from "@lakesync/core";
import { memoryObjectStore, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { MERGE_MANIFESTS, presentManifests, readEntries, type TableRef } from "./commit.ts";
import { icebergDestination } from "./destination.ts";
import { REMEMBERED_FILES, REMEMBERED_VERSIONS } from "./snapshot.ts";
import { loadTable } from "./table.ts";
import { entries, flush, readSeqs } from "./testdata/lake_rows.ts";

const TABLE = "todos_changes";

/** Commits one row after the other. */
async function commits(store: ObjectStore, count: number): Promise<TableRef> {
  const destination = icebergDestination({ store });
  for (let seq = 1; seq <= count; seq++) {
    const from = seq === 1 ? undefined : { epoch: "e", seq: seq - 1 };
    const outcome = await flush(destination, entries(seq, seq), { from });
    assertEquals(outcome.get("todos")?.status, "committed");
  }
  return { table: TABLE, metadata: unwrapOrThrow(await loadTable(store, TABLE))!.metadata };
}

test("commits merge their manifests when there are too many, and lose no file", async () => {
  const store = memoryObjectStore();
  const count = 2 * MERGE_MANIFESTS + 5;
  const ref = await commits(store, count);
  const manifests = unwrapOrThrow(await presentManifests(store, ref));
  assert(manifests.length < MERGE_MANIFESTS);
  assertEquals(await readSeqs(store, TABLE), Array.from({ length: count }, (_, i) => i + 1));
  // Every file keeps the number of the commit that brought it.
  const files = unwrapOrThrow(await readEntries(store, { ...ref, manifests }));
  const numbers = files.map(({ sequenceNumber }) => Number(sequenceNumber)).sort((a, b) => a - b);
  assertEquals(numbers, Array.from({ length: count }, (_, i) => i + 1));
  assertEquals(new Set(files.map(({ snapshotId }) => snapshotId)).size, count);
  const rows = manifests.reduce((sum, info) => sum + info.addedRows + info.existingRows, 0n);
  assertEquals(rows, BigInt(count));
  const merged = manifests.find(({ existingFiles }) => existingFiles > 0)!;
  assertEquals(merged.minSequenceNumber, 1n);
});

test("the metadata does not grow without bounds, and sums up what the table has", async () => {
  const store = memoryObjectStore();
  const { metadata } = await commits(store, 30);
  assertEquals(metadata.snapshots.length, REMEMBERED_VERSIONS);
  assertEquals(metadata["snapshot-log"].length, REMEMBERED_VERSIONS);
  assertEquals(metadata["metadata-log"].length, REMEMBERED_FILES);
  assertEquals(
    metadata["metadata-log"].at(-1)?.["metadata-file"],
    "memory:///lake/todos_changes/metadata/v29.metadata.json",
  );
  const last = metadata.snapshots.at(-1)!;
  assertEquals(last["snapshot-id"], metadata["current-snapshot-id"]);
  assertEquals(last["sequence-number"], 30n);
  assertEquals(last.summary["total-records"], "30");
  assertEquals(last.summary["total-data-files"], "30");
  assertEquals(last.summary["added-records"], "1");
  assertEquals(last.summary["lakesync.seq"], "30");
  assertEquals(last.summary["lakesync.epoch"], "e");
  assertEquals(last.summary["lakesync.batch-id"], "batch");
  const times = metadata.snapshots.map((snapshot) => snapshot["timestamp-ms"]);
  assertEquals(times, [...times].sort((a, b) => a - b));
});
