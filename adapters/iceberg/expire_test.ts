import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { withoutExpired } from "./expire.ts";
import { newSchemaPlan } from "./lake_schema.ts";
import { EPOCH_PROPERTY, SEQ_PROPERTY, type TableMetadata, watermarkOf } from "./metadata.ts";
import { emptyMetadata } from "./snapshot.ts";
import { TODOS } from "./testdata/lake_rows.ts";

const DAY = 86_400_000;

/** A table of so many snapshots, one a day, ids from 1 on; those in `foreign` have no watermark. */
function tableOf(count: number, foreign: readonly number[] = []): TableMetadata {
  const snapshots = Array.from({ length: count }, (_, i) => ({
    "snapshot-id": BigInt(i + 1),
    ...(i > 0 && { "parent-snapshot-id": BigInt(i) }),
    "sequence-number": BigInt(i + 1),
    "timestamp-ms": i * DAY,
    "manifest-list": `list ${i + 1}`,
    summary: {
      operation: "append",
      ...(!foreign.includes(i + 1) && { [EPOCH_PROPERTY]: "e", [SEQ_PROPERTY]: String(i + 1) }),
    },
  }));
  return {
    ...emptyMetadata(newSchemaPlan(TODOS), { uuid: "u", now: 0 }),
    "last-updated-ms": (count - 1) * DAY,
    "current-snapshot-id": BigInt(count),
    refs: { main: { "snapshot-id": BigInt(count), type: "branch" } },
    snapshots,
    "snapshot-log": snapshots.map((one) => ({
      "timestamp-ms": one["timestamp-ms"],
      "snapshot-id": one["snapshot-id"],
    })),
  };
}

const idsOf = (metadata: TableMetadata | undefined) =>
  metadata?.snapshots.map((one) => Number(one["snapshot-id"]));

test("Snapshots go that are too old or too many, but not the newest few", () => {
  const table = tableOf(30);
  const now = 30 * DAY;
  const kept = (options: Parameters<typeof withoutExpired>[1]) =>
    idsOf(withoutExpired(table, options));
  const DAYS = 12 * DAY;
  assertEquals(kept({ now, maxSnapshots: 3, maxSnapshotAgeMs: DAYS, minSnapshots: 2 }), [
    28,
    29,
    30,
  ]);
  assertEquals(kept({ now, maxSnapshots: 99, maxSnapshotAgeMs: 4 * DAY, minSnapshots: 2 }), [
    28,
    29,
    30,
  ]);
  assertEquals(kept({ now, maxSnapshots: 99, maxSnapshotAgeMs: 0, minSnapshots: 2 }), [29, 30]);
  assertEquals(kept({ now, maxSnapshots: 99, maxSnapshotAgeMs: 99 * DAY }), undefined);
  const next = withoutExpired(table, { now, maxSnapshots: 2, minSnapshots: 1 })!;
  assertEquals(next["snapshot-log"].map((entry) => entry["snapshot-id"]), [29n, 30n]);
});

test("What a branch or tag names stays, and so does all down to the newest watermark", () => {
  const now = 99 * DAY;
  const options = { now, minSnapshots: 1 };
  const table = tableOf(9, [6, 7, 8, 9]);
  const next = withoutExpired(table, options);
  assertEquals(idsOf(next), [5, 6, 7, 8, 9]);
  assertEquals(watermarkOf(next!), { epoch: "e", seq: 5 });
  const tagged = {
    ...tableOf(9),
    refs: { ...tableOf(9).refs, release: { "snapshot-id": 3n, type: "tag" } },
  };
  assertEquals(idsOf(withoutExpired(tagged, { now, minSnapshots: 2 })), [3, 8, 9]);
});
