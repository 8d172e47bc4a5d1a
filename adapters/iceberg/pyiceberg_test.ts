import fc from "fast-check";
import { type ColumnChange, type FlushEntry, type TableSchema } from "@lakesync/core";
import { fileObjectStore, test, withTempDir } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { MERGE_MANIFESTS } from "./commit.ts";
import { icebergDestination } from "./destination.ts";
import {
  fromHexFloat,
  pythonText as text,
  readWithPython,
  skipPyIceberg as skip,
} from "./testdata/pyiceberg.ts";
import { columnsOf, entries, entry, flush, NOON, readRows } from "./testdata/lake_rows.ts";

const schema: TableSchema = {
  table: "all",
  version: 1,
  columns: [
    { name: "s", type: "string", nullable: true },
    { name: "d", type: "number", nullable: true },
    { name: "i", type: "integer", nullable: true },
    { name: "b", type: "boolean", nullable: true },
    { name: "t", type: "timestamp", nullable: true },
    { name: "x", type: "bytes", nullable: true },
    { name: "j", type: "json", nullable: true },
    { name: "constructor", type: "string", nullable: true },
    { name: "_seq", type: "integer", nullable: true },
  ],
};

const texts = fc.string({ unit: "grapheme" }).filter((value) => value.isWellFormed());
const times = fc.date({
  min: new Date("0001-01-02"),
  max: new Date("9999-12-30"),
  noInvalidDate: true,
});
const integers = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) =>
  Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
);
const values: { readonly [column: string]: fc.Arbitrary<ColumnChange["value"]> } = {
  s: texts,
  d: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value === 0 ? 0 : value),
  i: integers,
  b: fc.boolean(),
  t: fc.tuple(times, fc.nat(999)).map(([date, micros]) =>
    date.toISOString().replace("Z", `${String(micros).padStart(3, "0")}Z`)
  ),
  x: fc.uint8Array({ maxLength: 40 }).map((bytes) => btoa(String.fromCharCode(...bytes))),
  j: fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value))),
  constructor: texts,
  _seq: integers,
};
const changes = fc.subarray(Object.keys(values)).chain((names) =>
  fc.record(Object.fromEntries(names.map((name) => [name, fc.option(values[name]!)])))
);

test({ name: "PyIceberg reads every value of a table as it was written", skip }, async () => {
  await withTempDir(async (directory) => {
    const store = fileObjectStore({ directory });
    const destination = icebergDestination({ store });
    const lists = fc.sample(fc.tuple(changes, texts), { seed: 42, numRuns: 400 });
    const list = lists.map(([columns, id], i): FlushEntry =>
      entry(i + 1, {
        table: "all",
        op: i % 5 === 4 ? "DELETE" : "UPDATE",
        rowId: `${i % 50} ${id}`,
        columns: i % 5 === 4 ? [] : columnsOf(columns as { [name: string]: ColumnChange["value"] }),
        at: NOON + i * 1_000_000,
        ...(i % 3 === 0 && { txId: `tx ${i}` }),
      })
    );
    await flush(destination, list.slice(0, 150), { schemas: [schema] });
    const grown: TableSchema = {
      ...schema,
      version: 2,
      columns: [...schema.columns, { name: "late", type: "string", nullable: true }],
    };
    const from = { epoch: "e", seq: 150 };
    await flush(destination, list.slice(150), { schemas: [grown], from });
    const metadata = `${store.location}/all_changes/metadata/v2.metadata.json`;
    const { rows, fields } = readWithPython(metadata);
    const types = new Map(fields.map(([, name, type]) => [name, type]));
    assertEquals([...types.keys()].slice(-3), ["constructor", "__seq", "late"]);
    const expected = (await readRows(store, "all_changes")).map((row) =>
      Object.fromEntries(fields.map(([, name, type]) => [name, text(row.get(name) ?? null, type)]))
    );
    assertEquals(expected.length, 400);
    const bySeq = [...rows].sort((a, b) =>
      Number(a._seq?.toString().slice(4)) - Number(b._seq?.toString().slice(4))
    );
    const actual = bySeq.map((row) =>
      Object.fromEntries(Object.entries(row).map(([name, value]) => [name, fromHexFloat(value)]))
    );
    assertEquals(actual, expected);
  });
});

test(
  { name: "PyIceberg finds rows by the bounds and partitions that we wrote", skip },
  async () => {
    await withTempDir(async (directory) => {
      const store = fileObjectStore({ directory });
      const destination = icebergDestination({ store });
      const day = 86_400_000;
      for (let i = 0; i < 3; i++) {
        const list = entries(i * 10 + 1, i * 10 + 10).map((one) => ({
          ...one,
          at: NOON + i * day,
        }));
        const from = i === 0 ? undefined : { epoch: "e", seq: i * 10 };
        await flush(destination, list, { from });
      }
      const metadata = `${store.location}/todos_changes/metadata/v3.metadata.json`;
      const seqs = (filter: string) => {
        const { rows, files } = readWithPython(metadata, filter);
        return [
          rows.map((row) => Number(row._seq?.toString().slice(4))).sort((a, b) => a - b),
          files,
        ];
      };
      assertEquals(seqs("_seq = 15"), [[15], 1]);
      // The first file's titles go from "title 1" to "title 9", so it might have this one too.
      assertEquals(seqs("title = 'title 27'"), [[27], 2]);
      assertEquals(seqs("_commit_ts >= '2026-11-22T00:00:00+00:00'"), [
        entries(21, 30).map(({ seq }) => seq),
        1,
      ]);
      assertEquals(seqs("n is not null"), [[], 0]);
    });
  },
);

test({ name: "PyIceberg reads a table whose manifests were merged", skip }, async () => {
  await withTempDir(async (directory) => {
    const store = fileObjectStore({ directory });
    const destination = icebergDestination({ store });
    const count = MERGE_MANIFESTS + 3;
    for (let seq = 1; seq <= count; seq++) {
      const from = seq === 1 ? undefined : { epoch: "e", seq: seq - 1 };
      await flush(destination, entries(seq, seq), { from });
    }
    const { rows, files } = readWithPython(
      `${store.location}/todos_changes/metadata/v${count}.metadata.json`,
    );
    assertEquals([rows.length, files], [count, count]);
  });
});
