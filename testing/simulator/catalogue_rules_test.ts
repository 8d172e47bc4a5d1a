import { assertEquals } from "@std/assert";
import { test } from "../test.ts";
import { type JsonObject, newMetadata, refusalOf, withUpdates } from "./catalogue_rules.ts";

const table = (): JsonObject =>
  newMetadata({
    name: "items",
    schema: { type: "struct", "schema-id": 3, fields: [{ id: 1, name: "id" }] },
    "partition-spec": { "spec-id": 0, fields: [] },
    "write-order": null,
    properties: { "format-version": "2", a: "b" },
  }, { uuid: "u", location: "memory:///lake/items", now: 5 });

const snapshot = (id: number, number: number): JsonObject => ({
  "snapshot-id": id,
  "sequence-number": number,
  "timestamp-ms": 10 * number,
});
const commit = (id: number, number: number): readonly JsonObject[] => [
  { action: "add-snapshot", snapshot: snapshot(id, number) },
  { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": id },
];
const onTopOf = (id: number | null): readonly JsonObject[] => [
  { type: "assert-table-uuid", uuid: "u" },
  { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": id },
];

test("of two commits on one base a catalogue takes the first and answers 409 to the second", () => {
  const empty = table();
  assertEquals(refusalOf(empty, onTopOf(null)), undefined);
  const next = withUpdates(empty, commit(7, 1)) as JsonObject;
  assertEquals([next["current-snapshot-id"], next["last-sequence-number"]], [7, 1]);
  assertEquals(next["last-updated-ms"], 10);
  assertEquals(refusalOf(next, onTopOf(null))?.status, 409);
  assertEquals(refusalOf(next, onTopOf(7)), undefined);
});

test("a catalogue refuses a snapshot that is not newer, one that it has, and a ref to none", () => {
  const next = withUpdates(table(), commit(7, 1)) as JsonObject;
  const refused = (updates: readonly JsonObject[]) => withUpdates(next, updates).reason;
  assertEquals(refused(commit(8, 1)), "sequence number 1 is old");
  assertEquals(refused(commit(7, 2)), "the snapshot is there already");
  assertEquals(refused([commit(8, 2)[1]!]), "there is no snapshot 8");
});

test("snapshots that are removed are gone from the table and its log", () => {
  const two = withUpdates(table(), [...commit(7, 1), ...commit(8, 2)]) as JsonObject;
  const one = withUpdates(two, [{ action: "remove-snapshots", "snapshot-ids": [7] }]) as JsonObject;
  const ids = (name: string) =>
    (one[name] as readonly JsonObject[]).map((entry) => entry["snapshot-id"]);
  assertEquals([ids("snapshots"), ids("snapshot-log")], [[8], [8]]);
});
