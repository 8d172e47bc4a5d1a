import { mkdirSync, readFileSync } from "node:fs";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import type { Cell } from "./_cells.ts";
import { cellRange } from "./_range.ts";
import type { IcebergField } from "./lake_schema.ts";
import { encodeColumns, type FileColumn } from "./parquet.ts";
import { findRows, readColumns } from "./parquet_read.ts";

const TYPES: readonly (readonly [string, fc.Arbitrary<Exclude<Cell, null>>])[] = [
  [
    "string",
    fc.oneof(fc.constantFrom("a", "é", "😀", "\uFEFFa", "\uFEFF"), fc.string({ unit: "grapheme" })),
  ],
  ["long", fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  ["double", fc.double({ noNaN: true })],
  ["boolean", fc.boolean()],
  ["timestamptz", fc.bigInt({ min: -(2n ** 50n), max: 2n ** 50n })],
  ["binary", fc.uint8Array({ maxLength: 5 })],
];

/** A column of some rows: with nulls or without, plain or by dictionary. */
function columnOf(rows: number, id: number): fc.Arbitrary<FileColumn> {
  return fc.constantFrom(...TYPES).chain(([type, values]) =>
    fc.record({
      required: fc.boolean(),
      plain: fc.boolean(),
      few: fc.boolean(),
      cells: fc.array(fc.option(values), { minLength: rows, maxLength: rows }),
      other: values,
    }).map(({ required, plain, few, cells, other }): FileColumn => {
      const data = cells.map((cell, i) => {
        const repeated = few ? cells[i % 3]! : cell;
        return repeated === null && required ? other : repeated;
      });
      const field: IcebergField = { id, name: `c${id}`, required, type };
      const encoding = type === "boolean" || plain ? "PLAIN" as const : "RLE_DICTIONARY" as const;
      return { field, data, range: cellRange(type, data), encoding };
    })
  );
}

const files = fc.integer({ min: 1, max: 60 }).chain((rows) =>
  fc.tuple(
    fc.tuple(columnOf(rows, 1), columnOf(rows, 2), columnOf(rows, 3)),
    fc.uniqueArray(fc.nat(rows - 1)).map((places) => places.sort((a, b) => a - b)),
  ).map(([columns, places]) => ({ rows, columns, places }))
);

test("Of some rows of a file come the cells that the whole file has there", async () => {
  await fc.assert(
    fc.asyncProperty(files, async ({ rows, columns, places }) => {
      const schema = {
        type: "struct",
        "schema-id": 0,
        fields: columns.map(({ field }) => field),
      } as const;
      const { bytes } = encodeColumns(columns, { rows, schema });
      const read = await readColumns(bytes, { places });
      assertEquals(read.rows, places.length);
      for (const { field, data } of columns) {
        const expected = places.map((place) => (data as Cell[])[place] ?? undefined);
        assertEquals(Array.from(read.columns.get(field.id) ?? []), expected);
      }
    }),
    { seed: 42, numRuns: 300 },
  );
});

/** A file as DuckDB writes it, with several row groups and older pages. */
async function fileOfDuckDb(directory: string, sql: string): Promise<Uint8Array> {
  mkdirSync(directory, { recursive: true });
  const path = `${directory}/file.parquet`;
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run(sql.replace("FILE", `'${path}'`));
  connection.closeSync();
  instance.closeSync();
  return readFileSync(path);
}

const COPY = `COPY (SELECT 'row ' || lpad(i::VARCHAR, 6, '0') AS id, i * 7 AS n, i % 3 = 0 AS b,
    CASE WHEN i % 5 > 0 THEN 'title ' || (i % 100) END AS t, i / 2 AS d,
    CASE WHEN i > 30000 THEN make_timestamptz(i) END AS ts
  FROM range(50000) r(i)) TO FILE (FORMAT parquet, CODEC CODEC_NAME, ROW_GROUP_SIZE 20480,
  FIELD_IDS {id: 1, n: 2, b: 3, t: 4, d: 5, ts: 6})`;

for (const codec of ["zstd", "snappy", "gzip", "uncompressed"]) {
  test(`Some rows of what DuckDB writes with ${codec} are read, and found by their texts`, () =>
    withTempDir(async (directory) => {
      const bytes = await fileOfDuckDb(directory, COPY.replace("CODEC_NAME", codec));
      const wanted = [0, 1, 20_479, 20_480, 33_333, 49_999];
      const text = (i: number) => `row ${String(i).padStart(6, "0")}`;
      const found = await findRows(bytes, {
        fieldId: 1,
        wanted: new Set([...wanted.map(text), "row", "row 0000000"]),
      });
      assertEquals(found, { places: wanted, texts: wanted.map(text) });
      const { columns } = await readColumns(bytes, { places: wanted });
      const all = (id: number) => Array.from(columns.get(id) ?? []);
      assertEquals(all(1), wanted.map(text));
      assertEquals(all(2), wanted.map((i) => BigInt(i * 7)));
      assertEquals(all(3), wanted.map((i) => i % 3 === 0));
      assertEquals(all(4), wanted.map((i) => i % 5 > 0 ? `title ${i % 100}` : undefined));
      assertEquals(all(5), wanted.map((i) => i / 2));
      assertEquals(all(6), wanted.map((i) => i > 30_000 ? BigInt(i) : undefined));
    }));
}

test("Texts are found in columns with nulls and dictionaries, too", async () => {
  const field: IcebergField = { id: 1, name: "t", required: false, type: "string" };
  const data = Array.from({ length: 100 }, (_, i) => i % 3 === 0 ? null : `t${i % 5}`);
  const schema = { type: "struct", "schema-id": 0, fields: [field] } as const;
  for (const encoding of ["PLAIN", "RLE_DICTIONARY"] as const) {
    const column = { field, data, encoding, range: cellRange("string", data) };
    const { bytes } = encodeColumns([column], { rows: 100, schema });
    const { places } = await findRows(bytes, { fieldId: 1, wanted: new Set(["t2", "zz"]) });
    assertEquals(places, [...data.keys()].filter((i) => data[i] === "t2"));
    assert(places.length > 0);
  }
});

test("Where a bit of a page is another, the file is damaged or reads as something", async () => {
  const field: IcebergField = { id: 1, name: "t", required: false, type: "string" };
  const data = Array.from({ length: 40 }, (_, i) => i % 3 === 0 ? null : `text ${i % 5}`);
  const schema = { type: "struct", "schema-id": 0, fields: [field] } as const;
  const column = { field, data, range: cellRange("string", data) };
  const { bytes } = encodeColumns([column], { rows: 40, schema });
  let damaged = 0;
  const footer = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 8, true);
  const pages = bytes.length - 8 - footer;
  for (let i = 4; i < pages; i++) {
    const changed = bytes.slice();
    changed[i]! ^= 0x55;
    try {
      await readColumns(changed, { places: [0, 7, 39] });
    } catch (thrown) {
      assert(thrown instanceof RangeError);
      damaged++;
    }
  }
  assert(damaged > pages / 4);
});
