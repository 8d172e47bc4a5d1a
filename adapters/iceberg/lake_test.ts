import { type LakeScan, unwrapOrThrow } from "@lakesync/core";
import { memoryObjectStore, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { icebergDestination } from "./destination.ts";
import { icebergLake } from "./lake.ts";
import { columnsOf, entries, entry, flush, TODOS } from "./testdata/lake_rows.ts";

test("tables() names the tables of a lake, and nothing else in the store", async () => {
  const store = memoryObjectStore();
  const lake = icebergLake({ store });
  assertEquals(unwrapOrThrow(await lake.tables()), []);
  const schemas = ["b", "a", "a_b"].map((table) => ({ ...TODOS, table }));
  const list = schemas.map(({ table }, i) => entry(i + 1, { table }));
  await flush(icebergDestination({ store }), list, { schemas });
  for (const key of ["readme.txt", "a_changes.txt", "other/data/x", "a_changes0/y"]) {
    unwrapOrThrow(await store.put(key, new Uint8Array()));
  }
  assertEquals(unwrapOrThrow(await lake.tables()), ["a_b_changes", "a_changes", "b_changes"]);
});

test("scan() tells columns, types, files with their range of stamps, and how far it is", async () => {
  const store = memoryObjectStore();
  const schema = {
    ...TODOS,
    columns: [...TODOS.columns, { name: "_hlc", type: "json" as const, nullable: true }],
  };
  const list = [
    entry(1, { hlc: "70" }),
    entry(2, { hlc: "9", columns: columnsOf({ _hlc: [1] }) }),
    entry(3, { hlc: "100" }),
  ];
  await flush(icebergDestination({ store }), list, { schemas: [schema] });
  const scan = unwrapOrThrow(await icebergLake({ store }).scan("todos_changes"));
  assertEquals(scan.columns.map(({ fieldId, name, type }) => `${fieldId} ${name} ${type}`), [
    "1 _seq long",
    "2 _op string",
    "3 id string",
    "4 _hlc long",
    "5 _client_id string",
    "6 _tx_id string",
    "7 _commit_ts timestamptz",
    "8 _columns string",
    "9 title string",
    "10 done boolean",
    "11 n long",
    "12 __hlc string",
  ]);
  assertEquals(scan.types, new Map(schema.columns.map(({ name, type }) => [name, type])));
  assertEquals(scan.watermark, { epoch: "e", seq: 3 });
  assertEquals(scan.files.length, 1);
  const [file] = scan.files;
  assertEquals(file?.rows, 3);
  const { min, max } = file!.committed!;
  assertEquals([min, max], [list[0]!.at * 1000, list[2]!.at * 1000]);
  assertEquals(file!.mayHave!(list[0]!.delta.rowId), true);
  assertEquals(file!.mayHave!("\u{10FFFF}"), false);
  assertEquals(file?.hlc, { min: "9", max: "100" });
  assertEquals(file?.url, `memory:///lake/${file?.key}`);
  assertEquals(unwrapOrThrow(await store.head(file!.key))?.size, file?.bytes);
});

test("scan() reads an earlier snapshot with the schema and the watermark of then", async () => {
  const store = memoryObjectStore();
  const destination = icebergDestination({ store });
  const lake = icebergLake({ store });
  await flush(destination, entries(1, 2));
  const first = unwrapOrThrow(await lake.scan("todos_changes"));
  const grown = {
    ...TODOS,
    version: 2,
    columns: [...TODOS.columns, { name: "x", type: "string" as const, nullable: true }],
  };
  await flush(destination, entries(3, 5), { from: { epoch: "e", seq: 2 }, schemas: [grown] });
  const { snapshotId } = first;
  assert(snapshotId !== undefined);
  const then = unwrapOrThrow(await lake.scan("todos_changes", { snapshotId }));
  const plain = ({ files, ...scan }: LakeScan) => ({
    ...scan,
    types: first.types,
    files: files.map(({ mayHave: _, ...file }) => file),
  });
  assertEquals(plain(then), plain(first));
  const now = unwrapOrThrow(await lake.scan("todos_changes"));
  assertEquals(now.files.map(({ rows }) => rows).sort(), [2, 3]);
  assertEquals(now.columns.length, first.columns.length + 1);
});

test("scan() answers NOT_FOUND for a table or a snapshot that is not there", async () => {
  const store = memoryObjectStore();
  const lake = icebergLake({ store });
  const table = await lake.scan("todos_changes");
  assertEquals(table.ok ? "" : table.error.code, "NOT_FOUND");
  await flush(icebergDestination({ store }), entries(1, 2));
  const snapshot = await lake.scan("todos_changes", { snapshotId: 1n });
  assertEquals(snapshot.ok ? "" : snapshot.error.code, "NOT_FOUND");
});
