import { test } from "@lakesync/testing";
import { assertEquals, assertThrows } from "@std/assert";
import { newSchemaPlan } from "./lake_schema.ts";
import type { Snapshot, TableMetadata } from "./metadata.ts";
import { tableUpdates } from "./rest_updates.ts";
import { emptyMetadata } from "./snapshot.ts";
import { TODOS } from "./testdata/lake_rows.ts";

const snapshot = (id: bigint): Snapshot => ({
  "snapshot-id": id,
  "sequence-number": id,
  "timestamp-ms": 1,
  "manifest-list": `s3://b/${id}.avro`,
  summary: { operation: "append" },
});
const base: TableMetadata = {
  ...emptyMetadata(newSchemaPlan(TODOS), { uuid: "u", now: 1 }),
  properties: { a: "1", b: "2", constructor: "x" },
  "current-snapshot-id": 2n,
  refs: {
    main: { "snapshot-id": 2n, type: "branch" },
    old: { "snapshot-id": 1n, type: "tag" },
  },
  snapshots: [snapshot(1n), snapshot(2n)],
};

test("tableUpdates() of what has not changed are none", () => {
  assertEquals(tableUpdates(base, base), []);
  assertEquals(tableUpdates(base, structuredClone(base)), []);
});

test("tableUpdates() tells of properties that were set, changed and removed", () => {
  assertEquals(tableUpdates(base, { ...base, properties: { a: "1", b: "3", toString: "y" } }), [
    { action: "set-properties", updates: { b: "3", toString: "y" } },
    { action: "remove-properties", removals: ["constructor"] },
  ]);
});

test("tableUpdates() tells of snapshots and refs, the new ones before the old ones go", () => {
  const next = {
    ...base,
    "current-snapshot-id": 3n,
    refs: { main: { "snapshot-id": 3n, type: "branch" } },
    snapshots: [snapshot(2n), snapshot(3n)],
  };
  assertEquals(tableUpdates(base, next), [
    { action: "add-snapshot", snapshot: snapshot(3n) },
    { action: "set-snapshot-ref", "ref-name": "main", "snapshot-id": 3n, type: "branch" },
    { action: "remove-snapshot-ref", "ref-name": "old" },
    { action: "remove-snapshots", "snapshot-ids": [1n] },
  ] as unknown as ReturnType<typeof tableUpdates>);
});

test("tableUpdates() names a schema that was there before by its id, a new one by -1", () => {
  const [first] = base.schemas;
  const second = { ...first!, "schema-id": 1 };
  const grown = { ...base, schemas: [first!, second], "current-schema-id": 1 };
  assertEquals(tableUpdates(base, grown), [
    { action: "add-schema", schema: second, "last-column-id": base["last-column-id"] },
    { action: "set-current-schema", "schema-id": -1 },
  ] as unknown as ReturnType<typeof tableUpdates>);
  assertEquals(tableUpdates(grown, { ...grown, "current-schema-id": 0 }), [
    { action: "set-current-schema", "schema-id": 0 },
  ]);
});

test("tableUpdates() takes what the catalogue keeps itself as it comes, and refuses the rest", () => {
  assertEquals(tableUpdates(base, { ...base, "last-updated-ms": 7, "metadata-log": [] }), []);
  assertThrows(() => tableUpdates(base, { ...base, location: "s3://other" }), TypeError);
  assertThrows(() => tableUpdates(base, { ...base, "partition-specs": [] }), TypeError);
});
