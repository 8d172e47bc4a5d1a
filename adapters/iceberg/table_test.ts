import { type ErrorCode, type ObjectStore, type Result, unwrapOrThrow } from "@lakesync/core";
import { faultyObjectStore, memoryObjectStore, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { icebergDestination } from "./destination.ts";
import { icebergLake } from "./lake.ts";
import { metadataBytes, parseMetadata, type TableMetadata } from "./metadata.ts";
import { loadTable, putVersion, versionKey } from "./table.ts";
import { allKeys, entries, flush, readSeqs } from "./testdata/lake_rows.ts";

const TABLE = "todos_changes";
const HINT = `${TABLE}/metadata/version-hint.text`;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A table of three versions. */
async function threeVersions(): Promise<ObjectStore> {
  const store = memoryObjectStore();
  const destination = icebergDestination({ store });
  await flush(destination, entries(1, 1));
  await flush(destination, entries(2, 2), { from: { epoch: "e", seq: 1 } });
  await flush(destination, entries(3, 3), { from: { epoch: "e", seq: 2 } });
  return store;
}

test("loadTable() finds the newest version whatever the hint says", async () => {
  for (const hint of [undefined, "3", "1", "2\n", "4", "99", "-1", "x", ""]) {
    const store = await threeVersions();
    if (hint === undefined) unwrapOrThrow(await store.delete([HINT]));
    else unwrapOrThrow(await store.put(HINT, text(hint)));
    assertEquals(unwrapOrThrow(await loadTable(store, TABLE))?.number, 3);
  }
});

test("loadTable() finds the newest of many versions without a hint", async () => {
  const store = await threeVersions();
  unwrapOrThrow(await store.delete([HINT]));
  const bytes = unwrapOrThrow(await store.get(versionKey(TABLE, 3)));
  for (let n = 4; n <= 12; n++) unwrapOrThrow(await store.put(versionKey(TABLE, n), bytes));
  assertEquals(unwrapOrThrow(await loadTable(store, TABLE))?.number, 12);
});

test("loadTable() of a known version asks for the next one, and whether it is still there", async () => {
  const store = await threeVersions();
  const known = unwrapOrThrow(await loadTable(store, TABLE))!;
  const asked: string[] = [];
  const watched = faultyObjectStore(store, ({ name, key }) => {
    asked.push(`${name} ${key}`);
    return undefined;
  });
  assertEquals(unwrapOrThrow(await loadTable(watched, TABLE, known)), known);
  assertEquals(asked, [`get ${versionKey(TABLE, 4)}`, `head ${versionKey(TABLE, 3)}`]);
  unwrapOrThrow(await store.delete(await allKeys(store)));
  assertEquals(unwrapOrThrow(await loadTable(store, TABLE, known)), undefined);
});

test("loadTable() gives undefined where there is no table", async () => {
  assertEquals(unwrapOrThrow(await loadTable(memoryObjectStore(), TABLE)), undefined);
});

test("a damaged or foreign table is refused with the next step, and stays as it is", async () => {
  const foreign = (change: (metadata: TableMetadata) => TableMetadata) => (bytes: Uint8Array) =>
    metadataBytes(change(unwrapOrThrow(parseMetadata(bytes))));
  const cases: [string, ErrorCode, (bytes: Uint8Array) => Uint8Array][] = [
    ["empty", "CORRUPT", () => new Uint8Array()],
    ["cut", "CORRUPT", (bytes) => bytes.subarray(0, bytes.length / 2)],
    ["no JSON", "CORRUPT", () => text("hello")],
    ["another thing", "CORRUPT", () => text("[]")],
    ["version 1", "CORRUPT", () => text('{"format-version":1}')],
    ["no UTF-8", "CORRUPT", () => Uint8Array.of(0xff)],
    ["no schema", "CONFLICT", foreign((metadata) => ({ ...metadata, properties: {} }))],
    [
      "no watermark",
      "CONFLICT",
      foreign((metadata) => ({
        ...metadata,
        snapshots: metadata.snapshots.map((one) => ({ ...one, summary: { operation: "append" } })),
      })),
    ],
    [
      "damaged schema",
      "CORRUPT",
      foreign((metadata) => ({ ...metadata, properties: { "lakesync.schema": "{" } })),
    ],
    [
      "other partitions",
      "CONFLICT",
      foreign((metadata) => ({
        ...metadata,
        "partition-specs": [{ "spec-id": 0, fields: [] }],
      })),
    ],
    [
      "elsewhere",
      "CONFLICT",
      foreign((metadata) => ({ ...metadata, location: "s3://elsewhere/todos" })),
    ],
  ];
  for (const [what, code, damage] of cases) {
    const store = await threeVersions();
    const key = versionKey(TABLE, 3);
    const bytes = damage(unwrapOrThrow(await store.get(key)));
    unwrapOrThrow(await store.put(key, bytes));
    const before = await allKeys(store);
    const outcomes = await flush(icebergDestination({ store }), entries(4, 6), {
      from: { epoch: "e", seq: 3 },
    });
    const todos = outcomes.get("todos");
    assert(todos?.status === "failed", what);
    assertEquals(todos.error.code, code, what);
    assert(todos.error.message.includes(TABLE) || todos.error.message.includes("todos"), what);
    assertEquals(await allKeys(store), before, what);
    assertEquals(unwrapOrThrow(await store.get(key)), bytes, what);
  }
});

test("a manifest that is damaged or gone is CORRUPT, for reading and for merging", async () => {
  for (const kind of ["-m0.avro", "snap-"]) {
    for (const damage of ["cut", "gone"]) {
      const store = await threeVersions();
      const metadata = unwrapOrThrow(await loadTable(store, TABLE))!.metadata;
      const newest = metadata.snapshots.at(-1)!["manifest-list"].split("/").at(-1)!;
      const key = (await allKeys(store)).find((key) =>
        kind === "snap-" ? key.endsWith(newest) : key.includes(kind)
      )!;
      if (damage === "gone") unwrapOrThrow(await store.delete([key]));
      else {
        const bytes = unwrapOrThrow(await store.get(key));
        unwrapOrThrow(await store.put(key, bytes.subarray(0, bytes.length - 20)));
      }
      assertCode(await icebergLake({ store }).scan(TABLE), "CORRUPT");
    }
  }
});

test("putVersion() tells whether it made the version", async () => {
  const store = await threeVersions();
  const version = unwrapOrThrow(await loadTable(store, TABLE))!;
  const next = { ...version, number: 4 };
  assertEquals(await putVersion(store, TABLE, next), "committed");
  // The very same is there: our own put, done twice by the store or by us.
  assertEquals(await putVersion(store, TABLE, next), "committed");
  const other = { number: 4, metadata: { ...version.metadata, "last-updated-ms": 1 } };
  assertEquals(await putVersion(store, TABLE, other), "lost");
  const broken = faultyObjectStore(store, () => "fail");
  const unknown = await putVersion(broken, TABLE, { ...version, number: 5 });
  assert(typeof unknown === "object" && unknown.unknown.code === "STORAGE_ERROR");
});

test("a table that was moved as a whole is read and written where it is now", async () => {
  const store = await threeVersions();
  const moved = memoryObjectStore({ location: "memory:///elsewhere" });
  for (const key of await allKeys(store)) {
    unwrapOrThrow(await moved.put(key, unwrapOrThrow(await store.get(key))));
  }
  await flush(icebergDestination({ store: moved }), entries(4, 5), {
    from: { epoch: "e", seq: 3 },
  });
  assertEquals(await readSeqs(moved, TABLE), [1, 2, 3, 4, 5]);
});

function assertCode(result: Result<unknown>, code: ErrorCode): void {
  assertEquals(result.ok ? "a success" : result.error.code, code);
}

test("putVersion() makes no version whose predecessor maintenance has removed meanwhile", async () => {
  const store = await threeVersions();
  const slow = unwrapOrThrow(await loadTable(store, TABLE))!;
  const next = { number: 4, metadata: slow.metadata };
  const destination = icebergDestination({ store });
  await flush(destination, entries(4, 4), { from: { epoch: "e", seq: 3 } });
  await flush(destination, entries(5, 5), { from: { epoch: "e", seq: 4 } });
  unwrapOrThrow(await store.delete([1, 2, 3, 4].map((number) => versionKey(TABLE, number))));
  assertEquals(await putVersion(store, TABLE, next), "lost");
  assertEquals(unwrapOrThrow(await store.head(versionKey(TABLE, 4))), undefined);
  assertEquals(unwrapOrThrow(await loadTable(store, TABLE))?.number, 5);
});
