import fc from "fast-check";
import { type Delta, isVisible, unwrapOrThrow } from "@lakesync/core";
import { fileObjectStore, test, withTempDir } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { type Cell, toCell } from "./_cells.ts";
import { filesCatalogue } from "./catalogue_files.ts";
import { compactTable } from "./compact.ts";
import { duckdbEngine } from "./compact_duckdb.ts";
import { streamingEngine } from "./compact_fold.ts";
import { maintainLake } from "./maintain.ts";
import { currentSnapshot } from "./metadata.ts";
import { bucketOf } from "./state_bucket.ts";
import { readNewest } from "./testdata/newest.ts";
import {
  fromHexFloat,
  pythonText,
  readWithPython,
  skipPyIceberg as skip,
} from "./testdata/pyiceberg.ts";
import { ALL, deltas, flushDeltas, manyRows, oracle } from "./testdata/state_rows.ts";

const VALUES = ["s", "d", "i", "b", "t", "x", "j", "__proto__", "__stamps"];

/** What shows of the oracle's rows, as PyIceberg gives it, by id. */
function expected(all: readonly Delta[], types: ReadonlyMap<string, string>): unknown[] {
  const rows: unknown[][] = [];
  for (const [id, state] of oracle(all)) {
    if (!isVisible(state)) continue;
    const values = ALL.columns.map(({ name, type }, i) => {
      const value = state.columns.get(name)?.[0] ?? null;
      const cell: Cell = value === null ? null : toCell(type, value);
      return pythonText(cell, types.get(VALUES[i]!)!);
    });
    rows.push([id, ...values]);
  }
  return rows.sort(([a], [b]) => String(a) < String(b) ? -1 : 1);
}

const CASES = [
  ["rewrite", "streaming"],
  ["rewrite", "duckdb"],
  ["positions", "streaming"],
  ["vectors", "streaming"],
] as const;

for (const [deletes, engineName] of CASES) {
  const name =
    `PyIceberg reads current rows as the merge makes them, with deletes: ${deletes}, by ${engineName}`;
  test({ name, skip, timeoutMs: 200_000 }, async () => {
    await withTempDir(async (directory) => {
      const store = fileObjectStore({ directory });
      const engine = engineName === "duckdb" ? (await duckdbEngine())! : streamingEngine();
      const compact = async () =>
        unwrapOrThrow(await compactTable({ store, table: "all", buckets: 4, deletes, engine }));
      const all: Delta[] = manyRows(500);
      await flushDeltas(store, all, { after: 0 });
      await compact();
      const batches = fc.sample(fc.array(deltas, { minLength: 5, maxLength: 20 }), {
        seed: 42,
        numRuns: 3,
      });
      for (const batch of batches.map((batch) => batch.map(onKnownRow))) {
        await flushDeltas(store, batch, { after: all.length });
        all.push(...batch);
        await compact();
        const { rows, fields } = readWithPython(await readNewest(filesCatalogue(store), "all"));
        const types = new Map(fields.map(([, name, type]) => [name, type]));
        const actual = rows.map((row) => [row.id, ...VALUES.map((name) => fromHexFloat(row[name]))])
          .sort(([a], [b]) => String(a) < String(b) ? -1 : 1);
        assertEquals(actual, expected(all, types));
      }
      const version = unwrapOrThrow(await filesCatalogue(store).load("all"))!;
      const gone = Number(currentSnapshot(version.metadata)!.summary["total-position-deletes"]);
      assertEquals(gone > 0, deletes !== "rewrite");
    });
  });
}

/** Every second delta falls on a row that was inserted before. */
function onKnownRow(delta: Delta, i: number): Delta {
  return i % 2 === 0 ? delta : { ...delta, rowId: `row ${i}` };
}

test({ name: "PyIceberg finds a row in the one bucket that we put it in", skip }, async () => {
  await withTempDir(async (directory) => {
    const store = fileObjectStore({ directory });
    const list = Array.from({ length: 60 }, (_, i): Delta => ({
      op: "INSERT",
      table: "all",
      rowId: `row ${i} é😀`.slice(0, 5 + i % 7),
      clientId: "alice",
      hlc: String(i + 1),
      columns: [{ column: "s", value: `value ${i}` }],
      deltaId: "",
    }));
    await flushDeltas(store, list, { after: 0 });
    unwrapOrThrow(await maintainLake({ store }));
    const ids = new Set(list.map(({ rowId }) => rowId));
    const metadata = await readNewest(filesCatalogue(store), "all");
    assertEquals(readWithPython(metadata).rows.length, ids.size);
    for (const id of [...ids].slice(0, 3)) {
      const { rows, files } = readWithPython(metadata, `id = '${id}'`);
      assertEquals([rows.length, files], [1, 1]);
    }
    assertEquals(new Set([...ids].map((id) => bucketOf(id, 16))).size > 4, true);
  });
});
