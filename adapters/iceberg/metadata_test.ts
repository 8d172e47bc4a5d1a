import fc from "fast-check";
import { unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { newSchemaPlan } from "./lake_schema.ts";
import {
  ancestry,
  currentSnapshot,
  metadataBytes,
  parseMetadata,
  type TableMetadata,
  watermarkOf,
} from "./metadata.ts";
import { emptyMetadata, withSnapshot } from "./snapshot.ts";
import { TODOS } from "./testdata/lake_rows.ts";

const empty = emptyMetadata(newSchemaPlan(TODOS), {
  uuid: "b6f5b0a0-0000-4000-8000-000000000000",
  now: 1_000,
});

const ids = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n });
const tables = fc.uniqueArray(ids, { maxLength: 30 }).map((snapshotIds) =>
  snapshotIds.reduce((metadata, snapshotId, i) =>
    withSnapshot(metadata, {
      snapshotId,
      manifestList: `memory:///lake/todos_changes/metadata/snap-${snapshotId}.avro`,
      batchId: "b",
      watermark: { epoch: "e", seq: i },
      files: 1,
      rows: 2n,
      bytes: 3n,
      partitions: 1,
    }, i), empty)
);

function again(metadata: TableMetadata): TableMetadata {
  return unwrapOrThrow(parseMetadata(metadataBytes(metadata)));
}

test("parseMetadata() reads what metadataBytes() wrote, ids of 63 bits included", () => {
  fc.assert(
    fc.property(tables, (metadata) => assertEquals(again(metadata), metadata)),
    { seed: 42 },
  );
});

test("parseMetadata() keeps what it does not know", () => {
  const known = JSON.parse(new TextDecoder().decode(metadataBytes(empty)));
  const text = JSON.stringify({ ...known, "next-row-id": 7, "partition-statistics": [{ a: 1 }] });
  const metadata = unwrapOrThrow(parseMetadata(new TextEncoder().encode(text)));
  const written = JSON.parse(new TextDecoder().decode(metadataBytes(metadata)));
  assertEquals(written["next-row-id"], 7);
  assertEquals(written["partition-statistics"], [{ a: 1 }]);
});

test("parseMetadata() takes -1 and null as no snapshot, and leaves optional lists out", () => {
  const known = JSON.parse(new TextDecoder().decode(metadataBytes(empty)));
  for (const id of [-1, null, undefined]) {
    const { snapshots: _, "snapshot-log": __, "metadata-log": ___, ...rest } = known;
    const text = JSON.stringify({ ...rest, "current-snapshot-id": id });
    const metadata = unwrapOrThrow(parseMetadata(new TextEncoder().encode(text)));
    assertEquals(currentSnapshot(metadata), undefined);
    assertEquals(metadata, empty);
  }
});

test("parseMetadata() names the field that is missing or malformed", () => {
  const known = JSON.parse(new TextDecoder().decode(metadataBytes(empty)));
  for (const key of Object.keys(known)) {
    if (["snapshots", "snapshot-log", "metadata-log", "properties"].includes(key)) continue;
    const { [key]: _, ...rest } = known;
    for (const broken of [rest, { ...rest, [key]: { "0": "other" } }]) {
      const text = new TextEncoder().encode(JSON.stringify(broken));
      const parsed = parseMetadata(text);
      assertEquals(parsed.ok ? key : parsed.error.code, "CORRUPT");
      assertEquals(!parsed.ok && parsed.error.message.includes(key), true, key);
    }
  }
});

test("ancestry() goes back from the current snapshot, and ends in a circle too", () => {
  const make = (id: bigint, parent?: bigint, seq?: number) => ({
    "snapshot-id": id,
    ...(parent !== undefined && { "parent-snapshot-id": parent }),
    "sequence-number": id,
    "timestamp-ms": 1,
    "manifest-list": "m",
    summary: seq === undefined ? {} : { "lakesync.epoch": "e", "lakesync.seq": String(seq) },
  });
  const branched: TableMetadata = {
    ...empty,
    "current-snapshot-id": 4n,
    snapshots: [make(1n, undefined, 10), make(2n, 1n, 20), make(3n, 2n, 99), make(4n, 2n)],
  };
  assertEquals([...ancestry(branched)].map((one) => one["snapshot-id"]), [4n, 2n, 1n]);
  // The newest watermark in the ancestry: not that of the branch that was left.
  assertEquals(watermarkOf(branched), { epoch: "e", seq: 20 });
  const circle = { ...branched, snapshots: [make(4n, 5n), make(5n, 4n)] };
  assertEquals([...ancestry(circle)].length, 2);
  assertEquals(watermarkOf(circle), undefined);
});
